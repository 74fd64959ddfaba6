/** base64url without padding, one spelling for each octet string (RFC 4648 §5; SPEC.md section 2). */

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const FORM = /^[A-Za-z0-9_-]*$/;
/** How many of the last character’s six bits are unused, by length modulo 4. */
const UNUSED_BITS_MASK = [0, 0, 0b1111, 0b11] as const;

export const encodeBase64url = (octets: Uint8Array): string =>
  Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString('base64url');

/** Whether `text` is the one canonical spelling of some octet string. */
export const isCanonicalBase64url = (text: string): boolean => {
  const rest = text.length % 4;
  if (rest === 1 || !FORM.test(text)) return false;
  const mask = UNUSED_BITS_MASK[rest] ?? 0;
  return mask === 0 || (ALPHABET.indexOf(text.charAt(text.length - 1)) & mask) === 0;
};

/** Decodes canonical base64url; `undefined` for anything else. */
export const decodeBase64url = (text: string): Buffer | undefined =>
  isCanonicalBase64url(text) ? Buffer.from(text, 'base64url') : undefined;

/** Whether `text` is canonical base64url of exactly `length` octets. */
export const isBase64urlOf = (text: string, length: number): boolean =>
  text.length === Math.ceil((length * 4) / 3) && isCanonicalBase64url(text);
