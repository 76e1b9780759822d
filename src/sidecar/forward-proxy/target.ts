// Where a request to a proxy wants to go: absolute-form (RFC 9112 section 3.2.2) and CONNECT's authority-form (3.2.3).
import { isIPv6 } from 'node:net';
import type { Address } from '../../runtime/address.ts';

export interface ProxyTarget {
  readonly address: Address;
  /** Host and port as the client wrote them, without userinfo: the Host header's value. */
  readonly authority: string;
  /** What the request line to the origin says. */
  readonly originForm: string;
}

/** Why a request target names no place a proxy can go to. */
export type TargetFault = 'not_a_proxy_request' | 'unsupported_scheme' | 'bad_authority';

const httpPort = 80;
/** RFC 3986 section 3.2.2: reg-name and IPv4address. */
const registeredName = /^[A-Za-z0-9._~!$&'()*+,;=%-]+$/;

/** Reads the request target of any method but CONNECT. */
export function parseAbsoluteForm(method: string, target: string): ProxyTarget | TargetFault {
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(target);
  if (scheme === null) return 'not_a_proxy_request';
  if (scheme[1]!.toLowerCase() !== 'http') return 'unsupported_scheme';
  const start = scheme[0].length;
  const length = target.slice(start).search(/[/?#]/);
  const end = length < 0 ? target.length : start + length;
  const userinfo = target.lastIndexOf('@', end - 1);
  const parsed = parseAuthority(target.slice(Math.max(start, userinfo + 1), end), httpPort);
  if (parsed === undefined) return 'bad_authority';
  const rest = target.slice(end);
  // RFC 9112 section 3.2.4: OPTIONS of the server as a whole has neither path nor query.
  const originForm = rest === '' && method === 'OPTIONS' ? '*' : rest.startsWith('/') ? rest : `/${rest}`;
  return { ...parsed, originForm };
}

/** Reads the request target of CONNECT: host and port, both needed. */
export function parseAuthorityForm(target: string): ProxyTarget | TargetFault {
  const parsed = parseAuthority(target, 0);
  return parsed === undefined ? 'bad_authority' : { ...parsed, originForm: target };
}

/** Port 0 and no host are no place to go to; neither is what is no name and no address. */
function parseAuthority(text: string, defaultPort: number): { address: Address; authority: string } | undefined {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d*))?$/.exec(text);
  if (match === null) return undefined;
  const [, v6, name = '', digits = ''] = match;
  const port = digits === '' ? defaultPort : Number(digits);
  if (port === 0 || port > 65535 || digits.length > 5) return undefined;
  const host = v6 === undefined ? name : v6.replace(/^([^%]*)%25/, '$1%');
  if (v6 === undefined ? !registeredName.test(name) : !isIPv6(host)) return undefined;
  return { address: { host: host.toLowerCase(), port }, authority: text.endsWith(':') ? text.slice(0, -1) : text };
}
