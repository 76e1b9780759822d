// Which requests are not traced: telemetry about telemetry, and probes (R21).

/** Where telemetry is sent to; reading such a path is a user's request. */
const ingestPaths: ReadonlySet<string> = new Set([
  '/v1/traces',
  '/v1/metrics',
  '/v1/logs',
  '/api/v1/spans',
  '/api/v2/spans',
  '/api/traces',
  '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
  '/grpc.health.v1.Health/Check',
  '/grpc.health.v1.Health/Watch',
]);
const probeAgent = /^(?:kube-probe|ELB-HealthChecker|GoogleHC|Prometheus)\//;

/** Whether a request is telemetry or a probe. */
export function isExcluded(method: string, target: string, userAgent: string): boolean {
  if (userAgent !== '' && probeAgent.test(userAgent)) return true;
  if (method === 'GET') {
    const path = pathOf(target);
    return path === '/metrics' || path === '/stats/prometheus';
  }
  return method === 'POST' && ingestPaths.has(pathOf(target));
}

function pathOf(target: string): string {
  const mark = target.indexOf('?');
  return mark < 0 ? target : target.slice(0, mark);
}

/** Whether an address is inside the trust boundary: loopback, RFC 1918, RFC 6598, link-local, unique local. */
export function isInternalAddress(address: string): boolean {
  const v4 = address.startsWith('::ffff:') ? address.slice(7) : address;
  const octets = v4.split('.');
  if (octets.length !== 4) return v4 === '::1' || /^f[cd]|^fe[89ab]/i.test(v4);
  const first = Number(octets[0]);
  const second = Number(octets[1]);
  if (first === 10 || first === 127) return true;
  if (first === 172) return second >= 16 && second <= 31;
  if (first === 100) return second >= 64 && second <= 127;
  return (first === 192 && second === 168) || (first === 169 && second === 254);
}
