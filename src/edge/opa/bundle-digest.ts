/**
 * What OPA's signatures are over (v1/bundle/hash.go): the octets of a file; of data and manifest the JSON with sorted members,
 * without blanks, with numbers as they were written and text as Go writes it. So that white space is no part of what is signed.
 */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { BundleFault } from './bundle-fault.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** As Go's encoder without HTML escapes: JSON's own, and the two line separators. */
const goText = (text: string): string =>
  JSON.stringify(text).replace(/[\u2028\u2029]/g, (mark) => (mark === '\u2028' ? '\\u2028' : '\\u2029'));

/** Go compares octets, JavaScript UTF-16: they differ past the basic plane. */
const byOctets = (one: string, other: string): number => Buffer.compare(Buffer.from(one), Buffer.from(other));

/** From the inside out: of each value, its text. */
const textOf = (value: unknown, source: string | undefined): string => {
  // Members of these are texts already.
  if (Array.isArray(value)) return `[${value.join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = value as Readonly<Record<string, string>>;
    return `{${Object.keys(members)
      .sort(byOctets)
      .map((name) => `${goText(name)}:${members[name]}`)
      .join(',')}}`;
  }
  // 1.0 stays 1.0: what it was read as is another number to Go.
  return typeof value === 'string' ? goText(value) : (source ?? String(value));
};

/** Throws {@link BundleFault}. */
export const canonicalDocument = (octets: Uint8Array): string => {
  try {
    return JSON.parse(
      utf8.decode(octets),
      (_member: string, value: unknown, context?: { readonly source?: string }) =>
        textOf(value, context?.source),
    ) as string;
  } catch {
    throw new BundleFault('a document in it is no JSON');
  }
};

const STRUCTURED = new Set(['data.json', '.manifest']);
/** OPA knows others; these are what `opa` makes and what is still worth anything. */
const ALGORITHMS: ReadonlyMap<string, string> = new Map([
  ['SHA-256', 'sha256'],
  ['SHA-384', 'sha384'],
  ['SHA-512', 'sha512'],
]);

/** In hex. Throws {@link BundleFault}. */
export const digestFile = (name: string, octets: Uint8Array, algorithm: string): string => {
  const hash = ALGORITHMS.get(algorithm);
  if (hash === undefined) throw new BundleFault(`${name} is signed with a hash that we don’t take`);
  return createHash(hash)
    .update(STRUCTURED.has(path.posix.basename(name)) ? canonicalDocument(octets) : octets)
    .digest('hex');
};
