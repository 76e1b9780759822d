// The parts of a request target as spans show them: truncated, query values redacted, userinfo gone.

export interface TargetParts {
  /** Path and redacted query, for `http.url`. */
  readonly pathAndQuery: string;
  readonly path: string;
  /** Redacted query without its question mark; '' when there is none. */
  readonly query: string;
  /** The authority of an absolute-form target, without userinfo; '' in origin form. */
  readonly authority: string;
}

const noParts: TargetParts = { pathAndQuery: '', path: '', query: '', authority: '' };

/**
 * Splits a request target in origin, absolute or asterisk form (RFC 9112 section 3.2).
 * @param allowedParameters query parameters whose values may be shown; all others read `REDACTED`
 */
export function splitTarget(method: string, target: string, allowedParameters: ReadonlySet<string>): TargetParts {
  if (method === 'CONNECT') return noParts;
  let authority = '';
  let rest = target;
  if (target.charCodeAt(0) !== 0x2f && target.includes('://')) {
    const start = target.indexOf('://') + 3;
    const slash = target.slice(start).search(/[/?]/);
    const end = slash < 0 ? target.length : start + slash;
    authority = target.slice(start, end);
    authority = authority.slice(authority.lastIndexOf('@') + 1);
    rest = target.slice(end) || '/';
  }
  const mark = rest.indexOf('?');
  if (mark < 0) return { pathAndQuery: rest, path: rest, query: '', authority };
  const path = rest.slice(0, mark);
  const query = redactQuery(rest.slice(mark + 1), allowedParameters);
  return { pathAndQuery: `${path}?${query}`, path, query, authority };
}

function redactQuery(query: string, allowed: ReadonlySet<string>): string {
  let result = '';
  for (let start = 0; start <= query.length; ) {
    let end = query.indexOf('&', start);
    if (end < 0) end = query.length;
    const equals = query.indexOf('=', start);
    const hasValue = equals >= 0 && equals < end;
    const isShown = !hasValue || (allowed.size > 0 && allowed.has(query.slice(start, equals)));
    const separator = start > 0 ? '&' : '';
    result += isShown ? separator + query.slice(start, end) : `${separator}${query.slice(start, equals)}=REDACTED`;
    start = end + 1;
  }
  return result;
}

export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

let lastAuthority = '';
let lastSplit: HostAndPort = { host: '', port: 0 };

/** Host and port of an authority; the port is 0 when it names none. Brackets of IPv6 are taken off. */
export function splitAuthority(authority: string): HostAndPort {
  // Requests of one workload name few hosts, mostly the same one in a row.
  if (authority === lastAuthority) return lastSplit;
  lastSplit = splitHostPort(authority);
  lastAuthority = authority;
  return lastSplit;
}

function splitHostPort(authority: string): HostAndPort {
  const colon = authority.lastIndexOf(':');
  const isPort = colon > 0 && !authority.endsWith(']') && /^\d{1,5}$/.test(authority.slice(colon + 1));
  const host = isPort ? authority.slice(0, colon) : authority;
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  return { host: bare, port: isPort ? Number(authority.slice(colon + 1)) : 0 };
}
