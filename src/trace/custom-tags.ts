// Custom tags as `--tag NAME=kind:value[:default]` names them: literal, header, environment, baggage.

export type CustomTag =
  | { readonly kind: 'literal'; readonly name: string; readonly value: string }
  | { readonly kind: 'environment'; readonly name: string; readonly variable: string; readonly fallback: string }
  | { readonly kind: 'header'; readonly name: string; readonly header: string; readonly fallback: string }
  | { readonly kind: 'baggage'; readonly name: string; readonly key: string };

/**
 * Parses `NAME=literal:V`, `NAME=header:H[:DEFAULT]`, `NAME=env:E[:DEFAULT]` or `NAME=baggage:K`.
 * @returns the tag, or a message saying what is wrong with the text
 */
export function parseCustomTag(text: string): CustomTag | string {
  const match = /^([^=]+)=(literal|header|env|environment|baggage):(.*)$/s.exec(text);
  if (match === null)
    return `"${text}" is not NAME=literal:V, NAME=header:H[:DEFAULT], NAME=env:E[:DEFAULT] or NAME=baggage:K`;
  const [, name = '', kind = '', rest = ''] = match;
  if (kind === 'literal') {
    return rest === '' ? `"${text}": a literal needs a value` : { kind, name, value: rest };
  }
  const colon = rest.indexOf(':');
  const source = colon < 0 || kind === 'baggage' ? rest : rest.slice(0, colon);
  const fallback = colon < 0 ? '' : rest.slice(colon + 1);
  if (source === '') return `"${text}": ${kind} needs a name after the colon`;
  if (kind === 'baggage') return { kind, name, key: source };
  if (kind !== 'header') return { kind: 'environment', name, variable: source, fallback };
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(source)) return `"${text}": "${source}" is not a header name`;
  return { kind: 'header', name, header: source.toLowerCase(), fallback };
}

/** The value of one key of a baggage header (W3C Baggage section 3.3), percent-decoded; '' when it is not there. */
export function readBaggage(header: string, key: string): string {
  for (const member of header.split(',')) {
    const [pair = ''] = member.split(';');
    const equals = pair.indexOf('=');
    if (equals < 0 || pair.slice(0, equals).trim() !== key) continue;
    const value = pair.slice(equals + 1).trim();
    try {
      return decodeURIComponent(value);
    } catch {
      return value;
    }
  }
  return '';
}
