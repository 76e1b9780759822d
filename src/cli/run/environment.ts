// The environment in which a command calls through the forward proxy, whatever it is written in.
import { type Address, formatAddress } from '../../runtime/address.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The environment of the command: the user's own, with the proxy in every variable that HTTP clients read.
 * @param proxy where the forward proxy listens
 * @param collector the OTLP endpoint's URL: what the command itself sends there does not go through the proxy
 */
export function proxiedEnvironment(user: Environment, proxy: Address, collector: string): NodeJS.ProcessEnv {
  const own = Object.entries(user).filter(([name]) => !name.startsWith('TRACECAR_'));
  const url = `http://${formatAddress(proxy)}`;
  const noProxy = withCollector(user.NO_PROXY || user.no_proxy || '', collector);
  return {
    ...Object.fromEntries(own),
    HTTP_PROXY: url,
    http_proxy: url,
    HTTPS_PROXY: url,
    https_proxy: url,
    NO_PROXY: noProxy,
    no_proxy: noProxy,
    // Node reads the variables above from version 24 on (and 22.21), if it is told to.
    NODE_USE_ENV_PROXY: user.NODE_USE_ENV_PROXY ?? '1',
    JAVA_TOOL_OPTIONS: javaOptions(user, proxy),
  };
}

/**
 * Adds the collector by host and port, so that other servers on its host, loopback above all, are still called through
 * the proxy. Go, Python, Node and gRPC know such entries; where one is not known, R21 keeps telemetry out of traces.
 */
function withCollector(noProxy: string, collector: string): string {
  const entries = noProxy
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
  const { hostname, port, protocol } = new URL(collector);
  const entry = `${hostname}:${port || (protocol === 'https:' ? 443 : 80)}`;
  return entries.includes('*') || entries.includes(entry) ? entries.join(',') : [...entries, entry].join(',');
}

/** Java reads no proxy variables; an empty list of exceptions is what makes it ask the proxy for loopback too. */
function javaOptions(user: Environment, { host, port }: Address): string {
  const patterns = (user.NO_PROXY || user.no_proxy || '').split(',').flatMap((entry) => javaPatterns(entry.trim()));
  return [
    ...(user.JAVA_TOOL_OPTIONS ? [user.JAVA_TOOL_OPTIONS] : []),
    ...['http', 'https'].flatMap((scheme) => [`-D${scheme}.proxyHost=${host}`, `-D${scheme}.proxyPort=${port}`]),
    `-Dhttp.nonProxyHosts=${patterns.join('|')}`,
  ].join(' ');
}

/** An entry of NO_PROXY as Java writes it; networks and ports it cannot. */
function javaPatterns(entry: string): readonly string[] {
  if (entry === '' || entry.includes('/') || /:\d+$/.test(entry)) return [];
  if (entry === '*' || entry.startsWith('*.') || /^[\d.]+$/.test(entry)) return [entry];
  const name = entry.replace(/^\./, '');
  return entry.startsWith('.') ? [`*.${name}`] : [name, `*.${name}`];
}
