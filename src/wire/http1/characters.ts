// Byte classes of RFC 9110 section 5.6.2 and 5.5, as tables.

/** 1 for tchar: what methods and field names are made of. */
export const isTokenByte = new Uint8Array(256);
/** 1 for what a field value may hold: HTAB, SP, VCHAR, obs-text. */
export const isValueByte = new Uint8Array(256);
/** 1 for what a request target may hold: no space, no control; bytes above 0x7F are passed as they are. */
export const isTargetByte = new Uint8Array(256);
/** ASCII upper case folded to lower case. */
export const lowerByte = new Uint8Array(256);
/** 0..15 for a hexadecimal digit, 255 for anything else. */
export const hexValue = new Uint8Array(256).fill(255);

for (let byte = 0; byte < 256; byte++) {
  const char = String.fromCharCode(byte);
  if (/[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(char)) isTokenByte[byte] = 1;
  if (byte === 0x09 || (byte >= 0x20 && byte !== 0x7f)) isValueByte[byte] = 1;
  if (byte > 0x20 && byte !== 0x7f) isTargetByte[byte] = 1;
  lowerByte[byte] = byte >= 0x41 && byte <= 0x5a ? byte + 32 : byte;
  if (/[0-9A-Fa-f]/.test(char)) hexValue[byte] = Number.parseInt(char, 16);
}

/** Whether a byte sequence (as a latin1 string) is well-formed 7-bit ASCII. */
export function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}
