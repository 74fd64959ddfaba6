/** A second opinion on our signatures, and the spellings that this second opinion lets through. */
import { compactVerify, createLocalJWKSet, importJWK, jwtVerify } from 'jose';
import { describe, expect, test } from 'vitest';
import { verifyChain } from '../../../../src/core/delegation/chain.ts';
import { parseLink } from '../../../../src/core/delegation/link.ts';
import { parseJws } from '../../../../src/core/encoding/jws.ts';
import { jwkOf } from '../../../../src/core/keys.ts';
import { verifyWit } from '../../../../src/core/trust/wit.ts';
import {
  ISSUERS,
  issuerKey,
  mintChain,
  NOW,
  permitted,
  principalKey,
  reasonOf,
  type TestKey,
  testAgent,
  testContext,
} from '../../../testkit/core-world.ts';

const planner = testAgent('planner');
const inventory = testAgent('inventory');
const joseKey = (key: TestKey) => importJWK({ ...jwkOf(key.x), alg: 'Ed25519' }, 'Ed25519');
const at = { currentDate: new Date(NOW * 1000) };
const b64u = (text: string) => Buffer.from(text).toString('base64url');

describe('jose agrees that what we sign is a JWS', () => {
  test('each link of a chain, under the key that the link above names', async () => {
    const [root = '', child = ''] = mintChain(planner, [{ to: inventory }]).split('~');
    const first = await compactVerify(root, await joseKey(principalKey));
    expect(first.protectedHeader).toEqual({ alg: 'Ed25519', typ: 'dlink+jwt' });
    const second = await jwtVerify(child, await joseKey(planner.key), { ...at, typ: 'dlink+jwt' });
    expect(second.payload).toMatchObject({ act: { sub: inventory.id }, iat: NOW });
    await expect(compactVerify(child, await joseKey(inventory.key))).rejects.toThrow(
      'signature verification failed',
    );
  });

  test('a WIT, with its key found by kid', async () => {
    const keys = createLocalJWKSet({
      keys: [{ ...jwkOf(issuerKey.x), kid: issuerKey.thumbprint, alg: 'Ed25519' }],
    });
    const { payload } = await jwtVerify(planner.wit, keys, { ...at, typ: 'wit+jwt' });
    expect(payload).toMatchObject({ sub: planner.id, cnf: { jwk: jwkOf(planner.key.x) } });
  });
});

describe('what jose takes and we refuse', () => {
  const link = mintChain(planner);
  const [header = '', payload = '', signature = ''] = link.split('.');
  const ours = (text: string) => reasonOf(verifyChain(text, planner.holder, testContext()));
  const signed = (head: string, body = payload) =>
    `${head}.${body}.${principalKey.sign(Buffer.from(`${head}.${body}`)).toString('base64url')}`;
  const josesWord = async (text: string): Promise<boolean> =>
    compactVerify(text, await joseKey(principalKey)).then(
      () => true,
      () => false,
    );

  test('the link as minted is good to both', async () => {
    expect(ours(link)).toBe('ok');
    expect(await josesWord(link)).toBe(true);
  });

  // The last of 86 characters carries two bits of the signature; the next letter differs in the four that carry nothing.
  const next = String.fromCharCode(signature.charCodeAt(85) + 1);
  test.each([
    [
      'unused bits that are not zero',
      `${header}.${payload}.${signature.slice(0, 85)}${next}`,
      'jws_base64url',
    ],
    ['padding', `${link}==`, 'jws_structure'],
    [
      'a line break in the signature',
      `${header}.${payload}.${signature.slice(0, 40)}\n${signature.slice(40)}`,
      'jws_structure',
    ],
    [
      'alg twice, the first "none"',
      signed(b64u('{"alg":"none","alg":"Ed25519","typ":"dlink+jwt"}')),
      'jws_header',
    ],
    ['the older name of the algorithm', signed(b64u('{"alg":"EdDSA","typ":"dlink+jwt"}')), 'jws_header'],
    ['members in another order', signed(b64u('{"typ":"dlink+jwt","alg":"Ed25519"}')), 'jws_header'],
    ['white space in the header', signed(b64u('{"alg":"Ed25519", "typ":"dlink+jwt"}')), 'jws_header'],
    [
      'a key brought along',
      signed(
        b64u(
          `{"alg":"Ed25519","typ":"dlink+jwt","jwk":{"kty":"OKP","crv":"Ed25519","x":"${principalKey.x}"}}`,
        ),
      ),
      'jws_header',
    ],
    [
      'a key to be fetched',
      signed(b64u('{"alg":"Ed25519","typ":"dlink+jwt","jku":"https://evil.org/keys"}')),
      'jws_header',
    ],
    ['another type', signed(b64u('{"alg":"Ed25519","typ":"hs-i+jwt"}')), 'jws_header'],
  ])('%s', async (_, text, reason) => {
    expect(await josesWord(text)).toBe(true);
    expect(ours(text)).toBe(reason);
  });

  test('one link has one spelling, so it has one id', () => {
    expect(permitted(parseLink(link, true)).id).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(parseLink(`${header}.${payload}.${signature.slice(0, 85)}${next}`, true).ok).toBe(false);
  });

  test('a payload that is not encoded (b64: false)', () => {
    const head = b64u('{"alg":"Ed25519","b64":false,"crit":["b64"],"typ":"dlink+jwt"}');
    expect(reasonOf(parseJws(signed(head), 'dlink+jwt'))).toBe('jws_header');
  });

  test('a member twice, of which JSON.parse keeps the last', async () => {
    const text = Buffer.from(payload, 'base64url').toString();
    const widened = b64u(`${text.slice(0, -1)},"scope":["cloud:*","db:*"]}`);
    expect(await josesWord(signed(header, widened))).toBe(true);
    expect(ours(signed(header, widened))).toBe('json_duplicate_member');
  });

  test('a header that jose refuses too: a critical member unknown, no algorithm', async () => {
    for (const head of [
      '{"alg":"Ed25519","crit":["x"],"typ":"dlink+jwt","x":1}',
      '{"alg":"none","typ":"dlink+jwt"}',
    ]) {
      expect(await josesWord(signed(b64u(head)))).toBe(false);
      expect(ours(signed(b64u(head)))).toBe('jws_header');
    }
  });
});

describe('headers that name a key', () => {
  test('a WIT whose kid is no thumbprint, or of another type', () => {
    const [, payload = ''] = planner.wit.split('.');
    const wit = (head: string) => {
      const input = `${b64u(head)}.${payload}`;
      return verifyWit(`${input}.${issuerKey.sign(Buffer.from(input)).toString('base64url')}`, ISSUERS, NOW);
    };
    const kid = issuerKey.thumbprint;
    expect(reasonOf(wit(`{"alg":"Ed25519","kid":"${kid}","typ":"wit+jwt"}`))).toBe('ok');
    // What was remembered of a header while reading one type must not serve another.
    expect(reasonOf(parseJws(planner.wit, 'roles+jwt'))).toBe('jws_header');
    expect(reasonOf(wit(`{"alg":"Ed25519","kid":"${kid}","typ":"kb+jwt"}`))).toBe('jws_header');
    expect(reasonOf(wit(`{"alg":"Ed25519","kid":"${kid}","typ":"kb+jwt"}`))).toBe('jws_header');
    expect(reasonOf(parseJws(planner.wit, 'wit+jwt'))).toBe('ok');
    expect(reasonOf(wit(`{"alg":"Ed25519","kid":"${kid.slice(1)}","typ":"wit+jwt"}`))).toBe('jws_header');
    expect(reasonOf(wit(`{"alg":"Ed25519","kid":"${kid}A","typ":"wit+jwt"}`))).toBe('jws_header');
    expect(reasonOf(wit(`{"alg":"Ed25519","typ":"wit+jwt"}`))).toBe('jws_header');
    expect(reasonOf(wit(`{"alg":"Ed25519","kid":"${testAgent('x').key.thumbprint}","typ":"wit+jwt"}`))).toBe(
      'wit_issuer_unknown',
    );
  });
});
