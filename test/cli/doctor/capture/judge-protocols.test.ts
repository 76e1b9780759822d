import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoredSpan } from '../../../../src/cli/demo/stored-spans.ts';
import { judgeProtocolPorts, judgeTls } from '../../../../src/cli/doctor/capture/judge-protocols.ts';
import { toConnections } from '../../../../src/cli/doctor/capture/observed.ts';
import { findSightings, type Sighting } from '../../../../src/cli/doctor/capture/sightings.ts';

function seen(port: number, protocol: string, more: Partial<Sighting> = {}): Sighting {
  return { direction: 'inbound', host: '10.0.0.7', port, protocol, doubt: '', ...more };
}

function span(name: string, kind: string, tags: StoredSpan['tags']): StoredSpan {
  const ids = { traceId: 't', spanId: 's', parentId: '', startUs: 0, durationUs: 0 };
  return { ...ids, service: 'shop', name, kind, error: false, tags };
}

test('protocols on the ports they are known for are nothing to speak of', () => {
  const usual = [
    seen(8080, 'http1'),
    seen(443, 'tls'),
    seen(5432, 'postgresql'),
    seen(6379, 'opaque'),
    seen(1234, 'tls'),
  ];
  assert.deepEqual(judgeProtocolPorts('shop', usual), []);
});

test('each port with the wrong protocol is named once, with what to do', () => {
  const findings = judgeProtocolPorts('shop', [
    seen(8443, 'http1'),
    seen(8443, 'http1', { host: '10.0.0.8' }),
    seen(8080, 'tls', { direction: 'outbound', host: 'payments' }),
    seen(80, 'opaque'),
    seen(9999, 'http1', { doubt: 'bad_status_line' }),
  ]);
  assert.deepEqual(
    findings.map(({ verdict, detail }) => `${verdict} ${detail}`),
    [
      'bad inbound port 8443: plain HTTP on a port that is known for HTTPS',
      'bad payments:8080: TLS on a port that is known for plain HTTP',
      'bad inbound port 80: something that is no HTTP on a port that is known for plain HTTP',
      'bad inbound port 9999: HTTP/1 requests are answered by something else (bad_status_line)',
    ],
  );
  for (const { advice } of findings) assert.ok((advice ?? '').length > 20);
});

test('TLS that only passes is one line a direction and no fault; beyond some places a number', () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
  const outbound = names.map((host) => seen(443, 'tls', { direction: 'outbound', host }));
  const findings = judgeTls('shop', [seen(8443, 'tls'), ...outbound, seen(80, 'http1')]);
  assert.deepEqual(
    findings.map(({ verdict, detail }) => `${verdict} ${detail.split(': ')[0]}`),
    ['open inbound port 8443', 'open outbound a:443, b:443, c:443, d:443, e:443 and 2 more'],
  );
  assert.match(findings[1]?.detail ?? '', /one span a connection, with the server's name/);
  assert.match(findings[0]?.advice ?? '', /^let TLS end in front/);
});

test('sightings come from open connections and from spans, each once, and CONNECT is none', () => {
  const page = {
    connections: [
      { direction: 'inbound', target: '10.0.0.7:8080', protocol: 'http1', degraded: 'bad_status_line' },
      { direction: 'outbound', target: '2001:db8::1:443', protocol: 'tls', degraded: null },
      { direction: 'outbound', target: '10.0.0.9:9', protocol: 'unknown', degraded: null },
    ],
  };
  const spans = [
    span('tls api.example:443', 'CLIENT', { upstream_cluster: 'outbound|443||203.0.113.9' }),
    span('tls api.example:443', 'CLIENT', { upstream_cluster: 'outbound|443||203.0.113.9' }),
    span('shop:8443/*', 'SERVER', { 'http.request.method': 'GET', upstream_cluster: 'inbound|8443||' }),
    span('x:443/*', 'CLIENT', { 'http.request.method': 'CONNECT', 'server.port': 443 }),
    span('work', 'CLIENT', {}),
  ];
  assert.deepEqual(
    findSightings('shop', toConnections(page), spans).map((each) => Object.values(each).join(' ')),
    [
      'inbound 10.0.0.7 8080 http1 bad_status_line',
      'outbound 2001:db8::1 443 tls ',
      'outbound api.example 443 tls ',
      'inbound  8443 http1 ',
    ],
  );
});
