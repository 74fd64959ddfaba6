/** DER as far as a certificate's extensions need it (X.690): definite lengths in their shortest form, nothing left over. */

export interface DerValue {
  /** The whole identifier octet. */
  readonly tag: number;
  readonly content: Buffer;
}

export const DER = {
  boolean: 0x01,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  sequence: 0x30,
} as const;

const HIGH_TAG = 0x1f;
const MAX_LENGTH_OCTETS = 3;

class DerFault extends Error {}

const fault = (what: string): never => {
  throw new DerFault(`not DER: ${what}`);
};

interface ReadValue extends DerValue {
  /** Where the next one begins. */
  readonly end: number;
}

const readAt = (octets: Buffer, at: number): ReadValue => {
  const tag = octets[at] ?? fault('it ends before a tag');
  if ((tag & HIGH_TAG) === HIGH_TAG) fault('a tag of several octets');
  const first = octets[at + 1] ?? fault('it ends before a length');
  let length = first;
  let start = at + 2;
  if (first >= 0x80) {
    const count = first & 0x7f;
    if (count === 0 || count > MAX_LENGTH_OCTETS || start + count > octets.length) fault('its length');
    length = octets.readUIntBE(start, count);
    start += count;
    if (length < 0x80 || length < 2 ** (8 * (count - 1))) fault('a length that could be shorter');
  }
  const end = start + length;
  if (end > octets.length) fault('it ends within a value');
  return { tag, content: octets.subarray(start, end), end };
};

/** The values that stand one behind the other, and nothing else. Throws on anything that is no DER. */
export const valuesIn = (octets: Buffer): DerValue[] => {
  const values: DerValue[] = [];
  for (let at = 0; at < octets.length; ) {
    const value = readAt(octets, at);
    values.push(value);
    at = value.end;
  }
  return values;
};

/** The content of the one value that this is. Throws when it has another tag, or something behind it. */
export const contentOf = (octets: Buffer, tag: number): Buffer => {
  const { tag: found, content, end } = readAt(octets, 0);
  if (found !== tag || end !== octets.length) fault('another value than is wanted here');
  return content;
};
