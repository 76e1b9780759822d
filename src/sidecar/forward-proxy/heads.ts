// The heads that go on: changed as little as a proxy must.
import { FieldNames } from '../../wire/http1/field-names.ts';
import { framingFields } from '../../wire/http1/framing.ts';
import type { HeadScanner } from '../../wire/http1/head-scanner.ts';
import type { ProxyTarget } from './target.ts';

/** What the client of a proxy says to the proxy alone (RFC 9110 section 11.7; Proxy-Connection never was in any RFC). */
const requestOnly = ['proxy-connection', 'proxy-authorization'] as const;
const responseOnly = ['proxy-connection', 'proxy-authenticate', 'proxy-authentication-info'] as const;

export const requestFieldNames = new FieldNames([...framingFields, 'host', ...requestOnly]);
export const responseFieldNames = new FieldNames([...framingFields, ...responseOnly]);

const hostId = framingFields.length;
const firstRequestOnly = hostId + 1;
const firstResponseOnly = framingFields.length;

/** Whether more than one Host line came: which of them counts is anybody's guess (RFC 9112 section 3.2). */
export function hasRepeatedHost(head: HeadScanner): boolean {
  let count = 0;
  for (let i = 0; i < head.knownCount; i++) if (head.fields[i * 5] === hostId) count++;
  return count > 1;
}

/**
 * The head as it goes to the origin: origin-form, Host from the target (RFC 9112 section 3.2.2), nothing that was meant
 * for the proxy.
 * @param text the scanned head as latin1, its blank line included
 */
export function toOriginHead(text: string, head: HeadScanner, target: ProxyTarget): string {
  const lineEnd = text.indexOf('\r\n', head.targetEnd) + 2;
  let result = `${text.slice(head.methodStart, head.methodEnd)} ${target.originForm}${text.slice(head.targetEnd, lineEnd)}`;
  let copied = lineEnd;
  let named = false;
  for (let i = 0, at = 0; i < head.knownCount; i++, at += 5) {
    const id = head.fields[at]!;
    if (id === hostId) {
      result += text.slice(copied, head.fields[at + 2]!) + target.authority;
      copied = head.fields[at + 3]!;
      named = true;
    } else if (id >= firstRequestOnly) {
      result += text.slice(copied, head.fields[at + 1]!);
      copied = head.fields[at + 4]!;
    }
  }
  if (!named)
    result = `${result.slice(0, lineEndOf(result))}Host: ${target.authority}\r\n${result.slice(lineEndOf(result))}`;
  return result + text.slice(copied);
}

function lineEndOf(head: string): number {
  return head.indexOf('\r\n') + 2;
}

/** Whether an origin tells a proxy's client what it has no business to. */
export function mustChange(head: HeadScanner): boolean {
  for (let i = 0; i < head.knownCount; i++) if (head.fields[i * 5]! >= firstResponseOnly) return true;
  return false;
}

/** A response head, as latin1, without that. */
export function toClientHead(text: string, head: HeadScanner): string {
  let result = '';
  let copied = 0;
  for (let i = 0, at = 0; i < head.knownCount; i++, at += 5) {
    if (head.fields[at]! < firstResponseOnly) continue;
    result += text.slice(copied, head.fields[at + 1]!);
    copied = head.fields[at + 4]!;
  }
  return result + text.slice(copied);
}
