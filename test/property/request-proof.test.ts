/** Whatever is signed verifies, whatever is changed of it does not, and what we read of it other parsers read alike. */
import * as fc from 'fast-check';
import { parseDictionary } from 'structured-headers';
import { expect, test } from 'vitest';
import { checkContentDigest, contentDigestOf } from '../../src/core/http-signature/digest.ts';
import {
  parseContentDigest,
  parseSignature,
  parseSignatureInput,
} from '../../src/core/http-signature/fields.ts';
import { type ProvingRequest, verifyRequestProof } from '../../src/core/http-signature/verify.ts';
import { NOW } from '../testkit/core-world.ts';
import { contextOf, signed } from '../testkit/request-proof.ts';

const value = fc
  .string({
    unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
    minLength: 1,
    maxLength: 40,
  })
  .map((text) => text.trim())
  .filter((text) => text !== '');
const requests = fc
  .record({
    method: fc.constantFrom('GET', 'POST', 'DELETE', 'PATCH'),
    target: value.map((text) => `/${text.replaceAll(' ', '')}`),
    authority: fc.constantFrom('inventory', 'Inventory:443', 'a.b.c:14443', '[::1]:8443', '127.0.0.1'),
    fields: fc.dictionary(
      fc.constantFrom(
        'delegation-grant',
        'delegation-labels',
        'content-type',
        'authorization',
        'txn-token',
        'delegation-chain',
      ),
      value,
    ),
    body: fc.option(fc.uint8Array({ maxLength: 40 }), { nil: undefined }),
    expires: fc.integer({ min: NOW + 1, max: NOW + 30 }),
  })
  .map(({ method, target, authority, fields, body, expires }) => ({
    body: body && Buffer.from(body),
    request: signed({
      request: { method, target, authority },
      fields,
      parameters: { expires },
      ...(body && { body: Buffer.from(body) }),
    }),
  }));

const isGood = (request: ProvingRequest): boolean => verifyRequestProof(request, contextOf()).ok;

test('what is signed verifies, and its body too', () => {
  fc.assert(
    fc.property(requests, ({ request, body }) => {
      const proof = verifyRequestProof(request, contextOf());
      expect(proof).toMatchObject({ ok: true });
      if (proof.ok && body !== undefined) {
        const { digest } = proof.value;
        expect(digest && checkContentDigest(digest, body)).toBeUndefined();
        expect(digest && checkContentDigest(digest, Buffer.concat([body, Buffer.of(0)]))).toBeDefined();
      }
    }),
    { numRuns: 200 },
  );
});

/** One character of one part: replaced, taken out or put in. */
const edits = fc.record({
  part: fc.nat(),
  at: fc.nat(),
  how: fc.constantFrom('replace', 'remove', 'insert'),
  character: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
});

const edited = (
  text: string,
  { at, how, character }: { at: number; how: string; character: string },
): string => {
  const place = at % (text.length + (how === 'insert' ? 1 : 0));
  return (
    text.slice(0, place) +
    (how === 'remove' ? '' : character) +
    text.slice(how === 'insert' ? place : place + 1)
  );
};

test('what is changed in one character does not', () => {
  fc.assert(
    fc.property(requests, edits, ({ request }, edit) => {
      const names = ['method', 'target', 'signatureInput', 'signature', ...request.fields.keys()];
      const name = names[edit.part % names.length] ?? '';
      const fields = new Map(request.fields);
      const before = fields.get(name) ?? String(request[name as 'method']);
      const after = edited(before, edit);
      fc.pre(after !== before);
      if (fields.has(name)) fields.set(name, after);
      expect(isGood(fields.has(name) ? { ...request, fields } : { ...request, [name]: after })).toBe(false);
    }),
    { numRuns: 600 },
  );
});

test('a header that is taken away or put in is seen', () => {
  const names = [
    'delegation-grant',
    'delegation-labels',
    'content-type',
    'content-digest',
    'authorization',
    'txn-token',
    'delegation-chain',
  ];
  fc.assert(
    fc.property(requests, fc.constantFrom(...names), ({ request }, name) => {
      const fields = new Map(request.fields);
      if (!fields.delete(name))
        fields.set(name, name === 'content-digest' ? contentDigestOf(Buffer.alloc(0)) : 'x');
      expect(isGood({ ...request, fields })).toBe(false);
    }),
    { numRuns: 200 },
  );
});

const inner = (text: string) => {
  const found = parseDictionary(text);
  expect([...found.keys()]).toEqual(['wimse']);
  return found.get('wimse') as unknown as [[string, Map<string, unknown>][], Map<string, unknown>];
};

/** Bent in a few places: most are refused, and what is not must be read as others read it. */
const bent = (text: string) =>
  fc.array(edits, { maxLength: 3 }).map((list) => list.reduce((so, edit) => edited(so, edit), text));

test('a Signature-Input that we read is read alike by a parser of structured fields', () => {
  const text = signed().signatureInput ?? '';
  let read = 0;
  fc.assert(
    fc.property(bent(text), (candidate) => {
      const ours = parseSignatureInput(candidate);
      if (!ours.ok) return;
      read++;
      const [components, parameters] = inner(candidate);
      expect(components.map(([name]) => name)).toEqual(ours.value.components);
      expect(components.every(([, own]) => own.size === 0)).toBe(true);
      expect(Object.fromEntries(parameters)).toEqual({
        created: ours.value.created,
        expires: ours.value.expires,
        nonce: ours.value.nonce,
        tag: 'wimse-workload-to-workload',
        'wimse-aud': ours.value.audience,
      });
    }),
    { numRuns: 1500 },
  );
  expect(read).toBeGreaterThan(50);
});

const octetsIn = (given: unknown): Buffer => Buffer.from((given as [ArrayBuffer])[0]);

test('so are a Signature and a Content-Digest', () => {
  const signature = signed().signature ?? '';
  const digest = `${contentDigestOf(Buffer.from('x'))}, sha-512=:${Buffer.alloc(64, 7).toString('base64')}:`;
  fc.assert(
    fc.property(bent(signature), bent(digest), (one, other) => {
      const octets = parseSignature(one);
      if (octets.ok) {
        const found = parseDictionary(one);
        expect([...found.keys()]).toEqual(['wimse']);
        expect(octetsIn(found.get('wimse')).equals(octets.value)).toBe(true);
      }
      const digests = parseContentDigest(other);
      if (digests.ok) {
        const found = parseDictionary(other);
        const { sha256, sha512 } = digests.value;
        const given = Object.entries({ 'sha-256': sha256, 'sha-512': sha512 }).filter(
          ([, text]) => text !== undefined,
        );
        expect([...found.keys()].sort()).toEqual(given.map(([name]) => name));
        for (const [name, text] of given) expect(octetsIn(found.get(name)).toString('base64')).toBe(text);
      }
    }),
    { numRuns: 600 },
  );
});
