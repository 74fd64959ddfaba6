/** The proof of one request: what it says, what it must not leave out, and that another implementation reads it alike. */
import { createPublicKey, hash, verify } from 'node:crypto';
import { httpbis } from 'http-message-signatures';
import { describe, expect, test } from 'vitest';
import { checkContentDigest, contentDigestOf } from '../../../../src/core/http-signature/digest.ts';
import { parseContentDigest, parseSignatureInput } from '../../../../src/core/http-signature/fields.ts';
import { SeenNonces } from '../../../../src/core/http-signature/nonces.ts';
import { type ProvingRequest, verifyRequestProof } from '../../../../src/core/http-signature/verify.ts';
import { NOW, permitted, reasonOf, testAgent } from '../../../testkit/core-world.ts';
import {
  callee,
  caller,
  contextOf,
  EXPORTER,
  REQUEST,
  received,
  signed,
} from '../../../testkit/request-proof.ts';

const reason = (request: ProvingRequest, changes: Parameters<typeof contextOf>[0] = {}) =>
  reasonOf(verifyRequestProof(request, contextOf(changes)));

const withField = (request: ProvingRequest, name: string, value: string | undefined): ProvingRequest => {
  const fields = new Map(request.fields);
  if (value === undefined) fields.delete(name);
  else fields.set(name, value);
  return { ...request, fields };
};

describe('a good proof', () => {
  test('proves its caller, and says what its body must be', () => {
    const body = Buffer.from('{"a":1}');
    const proof = permitted(
      verifyRequestProof(
        signed({ body, fields: { 'content-type': 'application/json', 'delegation-grant': 'd.e.f' } }),
        contextOf(),
      ),
    );
    expect(proof).toMatchObject({ caller: { id: caller.id, key: { x: caller.key.x } }, until: NOW + 50 });
    expect(proof.digest && checkContentDigest(proof.digest, body)).toBeUndefined();
    expect(proof.digest && checkContentDigest(proof.digest, Buffer.from('{"a":2}'))).toMatchObject({
      reason: 'request_proof_digest',
    });
  });

  test('has components and parameters in any order', () => {
    const request = signed();
    const input = request.signatureInput ?? '';
    const turned = input
      .replace('"@method" "@authority"', '"@authority" "@method"')
      .replace(/;(created=\d+);(expires=\d+)/, ';$2;$1');
    const parameters = turned.slice('wimse='.length);
    const base = `"@authority": inventory.company.com:14443\n"@method": GET\n"@request-target": ${REQUEST.target}\n"workload-identity-token": ${caller.wit}\n"hopgate-channel": ${EXPORTER.toString('base64url')}\n"delegation-chain": a.b.c\n"@signature-params": ${parameters}`;
    const signature = `wimse=:${caller.key.sign(Buffer.from(base)).toString('base64')}:`;
    expect(reason({ ...request, signatureInput: turned, signature })).toBe('ok');
    expect(reason({ ...request, signatureInput: turned })).toBe('request_proof_signature');
  });

  test('is made by another implementation', async () => {
    const { headers } = await httpbis.signMessage(
      {
        name: 'wimse',
        key: { sign: async (data) => caller.key.sign(data) },
        fields: [
          '@method',
          '@request-target',
          '@authority',
          'delegation-chain',
          'workload-identity-token',
          'hopgate-channel',
        ],
        params: ['created', 'expires', 'nonce', 'tag', 'wimse-aud'],
        paramValues: {
          created: new Date(NOW * 1000),
          expires: new Date((NOW + 10) * 1000),
          nonce: 'another-nonce-of-one',
          tag: 'wimse-workload-to-workload',
          'wimse-aud': callee.id,
        },
      },
      {
        method: 'GET',
        url: `https://Inventory.company.com:14443${REQUEST.target}`,
        headers: {
          'delegation-chain': 'a.b.c',
          'workload-identity-token': caller.wit,
          'hopgate-channel': EXPORTER.toString('base64url'),
        },
      },
    );
    const list = Object.entries(headers).flatMap(([name, value]) => [name.toLowerCase(), String(value)]);
    const request = received({ ...REQUEST, authority: 'Inventory.company.com:14443' }, list, false);
    expect(reason(request)).toBe('ok');
  });

  test('is verified by another implementation', async () => {
    const request = signed();
    const key = createPublicKey(caller.key.secret);
    const good = await httpbis.verifyMessage(
      {
        keyLookup: async () => ({ verify: async (data, signature) => verify(null, data, key, signature) }),
        notAfter: NOW + 1,
        maxAge: 1e9,
        tolerance: 1e9,
      },
      {
        method: 'GET',
        url: `https://${REQUEST.authority}${REQUEST.target}`,
        headers: {
          ...Object.fromEntries(request.fields),
          'signature-input': request.signatureInput ?? '',
          signature: request.signature ?? '',
        },
      },
    );
    expect(good).toBe(true);
  });
});

describe('what was changed after it was signed', () => {
  const whole = signed({
    fields: { 'delegation-grant': 'd.e.f', 'content-type': 'text/plain' },
    body: Buffer.from('x'),
  });
  test.each<readonly [string, ProvingRequest, string]>([
    ['method', { ...whole, method: 'DELETE' }, 'request_proof_signature'],
    ['path', { ...whole, target: '/ec2/keys?region=eu-central-1' }, 'request_proof_signature'],
    ['query', { ...whole, target: '/ec2/instances?region=us-east-1' }, 'request_proof_signature'],
    ['query taken away', { ...whole, target: '/ec2/instances' }, 'request_proof_signature'],
    ['authority', { ...whole, authority: 'finance.company.com' }, 'request_proof_signature'],
    ['chain', withField(whole, 'delegation-chain', 'a.b.d'), 'request_proof_signature'],
    ['grant', withField(whole, 'delegation-grant', 'd.e.g'), 'request_proof_signature'],
    ['content type', withField(whole, 'content-type', 'text/html'), 'request_proof_signature'],
    [
      'digest',
      withField(whole, 'content-digest', contentDigestOf(Buffer.from('y'))),
      'request_proof_signature',
    ],
    ['chain taken away', withField(whole, 'delegation-chain', undefined), 'request_proof_components'],
    ['grant taken away', withField(whole, 'delegation-grant', undefined), 'request_proof_components'],
    ['grant added', withField(signed(), 'delegation-grant', 'd.e.f'), 'request_proof_components'],
    ['labels added', withField(signed(), 'delegation-labels', 'pii'), 'request_proof_components'],
    ['authorization added', withField(signed(), 'authorization', 'Bearer x'), 'request_proof_components'],
    ['digest taken away', withField(whole, 'content-digest', undefined), 'request_proof_components'],
    ['body added', { ...signed(), hasBody: true }, 'request_proof_digest'],
  ])('%s', (_, request, expected) => {
    expect(reason(request)).toBe(expected);
  });
});

describe('what it lacks or has too much', () => {
  const request = signed();
  const input = request.signatureInput ?? '';
  const edited = (from: string | RegExp, to: string): ProvingRequest => ({
    ...request,
    signatureInput: input.replace(from, to),
  });
  test.each<readonly [string, ProvingRequest, string]>([
    ['no Signature-Input', { ...request, signatureInput: undefined }, 'request_proof_missing'],
    ['no Signature', { ...request, signature: undefined }, 'request_proof_missing'],
    ['no WIT', withField(request, 'workload-identity-token', undefined), 'request_proof_missing'],
    ['no channel', withField(request, 'hopgate-channel', undefined), 'request_proof_missing'],
    ['another label', edited('wimse=(', 'sig1=('), 'request_proof_malformed'],
    [
      'two signatures',
      { ...request, signatureInput: `${input}, sig1=("@method")` },
      'request_proof_malformed',
    ],
    ['a component twice', edited('"@method"', '"@method" "@method"'), 'request_proof_malformed'],
    ['a component with a parameter', edited('"@method"', '"@method";req'), 'request_proof_malformed'],
    ['two spaces', edited('"@method" ', '"@method"  '), 'request_proof_malformed'],
    ['an empty list', edited(/\(.*\)/, '()'), 'request_proof_malformed'],
    ['a key id', { ...request, signatureInput: `${input};keyid="x"` }, 'request_proof_malformed'],
    ['an algorithm', { ...request, signatureInput: `${input};alg="hmac-sha256"` }, 'request_proof_malformed'],
    [
      'a parameter without value',
      { ...request, signatureInput: `${input};wimse-sign-response` },
      'request_proof_malformed',
    ],
    [
      'a parameter twice',
      { ...request, signatureInput: `${input};created=${NOW}` },
      'request_proof_malformed',
    ],
    ['no created', edited(/;created=\d+/, ''), 'request_proof_malformed'],
    ['no expires', edited(/;expires=\d+/, ''), 'request_proof_malformed'],
    ['no nonce', edited(/;nonce="[^"]*"/, ''), 'request_proof_malformed'],
    ['a short nonce', edited(/nonce="[^"]*"/, 'nonce="short"'), 'request_proof_malformed'],
    ['no tag', edited(/;tag="[^"]*"/, ''), 'request_proof_malformed'],
    ['another tag', edited(/tag="[^"]*"/, 'tag="web"'), 'request_proof_malformed'],
    ['no audience', edited(/;wimse-aud="[^"]*"/, ''), 'request_proof_malformed'],
    ['a fraction of a second', edited(/created=\d+/, '$&.5'), 'request_proof_malformed'],
    ['a leading zero', edited(/created=/, '$&0'), 'request_proof_malformed'],
    ['an escape', edited(/nonce="/, '$&\\\\'), 'request_proof_malformed'],
    ['a line end in it', edited('wimse=', 'wimse=\n'), 'request_proof_malformed'],
    ['a space behind ;', edited(';created', '; created'), 'request_proof_malformed'],
    ['one component more', edited('"@method"', '"@method" "accept"'), 'request_proof_components'],
    ['one component less', edited('"@authority" ', ''), 'request_proof_components'],
    ['no method', edited('"@method" ', ''), 'request_proof_components'],
    ['a Host that is none', { ...request, authority: 'inventory company.com' }, 'request_proof_components'],
    [
      'a line end in a value',
      withField(request, 'delegation-chain', 'a\n"@method": GET'),
      'request_proof_components',
    ],
    [
      'a padded signature',
      { ...request, signature: (request.signature ?? '').replace('==:', '=:') },
      'request_proof_malformed',
    ],
    [
      'a signature with another label',
      { ...request, signature: (request.signature ?? '').replace('wimse', 'sig1') },
      'request_proof_malformed',
    ],
    [
      'a signature of zeros',
      { ...request, signature: `wimse=:${Buffer.alloc(64).toString('base64')}:` },
      'request_proof_signature',
    ],
    [
      'a last character with unused bits',
      { ...request, signature: `wimse=:${'A'.repeat(85)}B==:` },
      'request_proof_malformed',
    ],
  ])('%s', (_, each, expected) => {
    expect(reason(each)).toBe(expected);
  });
});

describe('another place, time or key', () => {
  const mallory = testAgent('mallory');
  test.each<readonly [string, ProvingRequest, Parameters<typeof contextOf>[0], string]>([
    ['another audience', signed({ parameters: { audience: mallory.id } }), {}, 'request_proof_audience'],
    [
      'the pattern of our type',
      signed({ parameters: { audience: callee.id.replace('a1', '*') } }),
      {},
      'request_proof_audience',
    ],
    ['31 s', signed({ parameters: { expires: NOW + 31 } }), {}, 'request_proof_ttl'],
    ['30 s', signed({ parameters: { expires: NOW + 30 } }), {}, 'ok'],
    ['no time at all', signed({ parameters: { expires: NOW } }), {}, 'request_proof_ttl'],
    ['backwards', signed({ parameters: { expires: NOW - 5 } }), {}, 'request_proof_ttl'],
    ['over', signed(), { now: NOW + 50 }, 'request_proof_expired'],
    ['over but for the clocks', signed(), { now: NOW + 49 }, 'ok'],
    ['from the future', signed(), { now: NOW - 31 }, 'request_proof_not_yet_valid'],
    ['from the future but for the clocks', signed(), { now: NOW - 30 }, 'ok'],
    ['before we began', signed(), { startedAt: NOW + 1 }, 'request_proof_before_start'],
    ['as we began', signed(), { startedAt: NOW }, 'ok'],
    ['another connection', signed(), { exporter: Buffer.alloc(32, 8) }, 'request_proof_channel'],
    [
      'another’s WIT and key',
      signed({ parameters: { wit: mallory.wit, sign: mallory.key.sign } }),
      {},
      'wit_not_svid',
    ],
    [
      'another’s WIT',
      signed({ parameters: { wit: mallory.wit } }),
      { peerId: mallory.id },
      'request_proof_signature',
    ],
    ['another’s key', signed({ parameters: { sign: mallory.key.sign } }), {}, 'request_proof_signature'],
    [
      'our own key',
      signed({ parameters: { wit: callee.wit, sign: callee.key.sign } }),
      { peerId: callee.id },
      'hs_reflection',
    ],
    ['a WIT of no issuer', signed(), { issuers: new Map() }, 'wit_issuer_unknown'],
    [
      'a WIT that has expired',
      signed({ parameters: { created: NOW + 3630, expires: NOW + 3640 } }),
      { now: NOW + 3630 },
      'wit_expired',
    ],
    ['a WIT that is none', signed({ parameters: { wit: 'a.b.c' } }), {}, 'jws_structure'],
  ])('%s', (_, request, context, expected) => {
    expect(reason(request, context)).toBe(expected);
  });
});

describe('Content-Digest', () => {
  const body = Buffer.from('hello');
  const sha256 = `sha-256=:${hash('sha256', body, 'base64')}:`;
  const sha512 = `sha-512=:${hash('sha512', body, 'base64')}:`;
  const check = (text: string) => {
    const digest = parseContentDigest(text);
    return digest.ok ? reasonOf(checkContentDigest(digest.value, body)) : digest.reason;
  };
  test.each([sha256, sha512, `${sha256}, ${sha512}`, `${sha512}, ${sha256}`])('%s', (text) => {
    expect(check(text)).toBe('ok');
  });
  test.each([
    '',
    'sha-256=::',
    `md5=:${hash('md5', body, 'base64')}:`,
    `sha=:${hash('sha1', body, 'base64')}:`,
    `${sha256}, ${sha256}`,
    `${sha256},${sha512}`,
    `${sha256};q=1`,
    `${sha256}, md5=:AAAA:`,
    sha256.replace('256', '512'),
    sha256.replace('=:', ':').replace('sha-256:', 'sha-256='),
    `sha-256=:${hash('sha256', 'other', 'base64')}:`,
    `${sha256}, sha-512=:${hash('sha512', 'other', 'base64')}:`,
  ])('refused: %s', (text) => {
    expect(check(text)).toBe('request_proof_digest');
  });
});

test('a Signature-Input of many parameters, or of many octets, is refused as fast as it comes', () => {
  for (const text of [
    `wimse=("@method")${';a=1'.repeat(900)}`,
    `wimse=(${'"a" '.repeat(1000)})`,
    'x'.repeat(32_768),
  ])
    expect(parseSignatureInput(text)).toMatchObject({ reason: 'request_proof_malformed' });
});

describe('nonces', () => {
  test('are good once for each caller', () => {
    const seen = new SeenNonces();
    expect(seen.take(caller.id, 'one', NOW + 50, NOW)).toBeUndefined();
    expect(seen.take(caller.id, 'one', NOW + 50, NOW)).toMatchObject({ reason: 'request_proof_replayed' });
    expect(seen.take(caller.id, 'one', NOW + 80, NOW)).toMatchObject({ reason: 'request_proof_replayed' });
    expect(seen.take(callee.id, 'one', NOW + 50, NOW)).toBeUndefined();
    expect(seen.take(caller.id, 'two', NOW + 50, NOW)).toBeUndefined();
  });

  test('are remembered as long as their proof can be used, and no longer', () => {
    const seen = new SeenNonces();
    seen.take(caller.id, 'one', NOW + 50, NOW);
    expect(seen.take(caller.id, 'one', NOW + 90, NOW + 49)).toMatchObject({
      reason: 'request_proof_replayed',
    });
    expect(seen.take(caller.id, 'two', NOW + 120, NOW + 70)).toBeUndefined();
    expect(seen.size).toBe(1);
  });

  test('of proofs that were over before some were forgotten are good for nobody, whatever the clock says then', () => {
    const seen = new SeenNonces();
    seen.take(caller.id, 'one', NOW + 50, NOW);
    expect(seen.take(caller.id, 'two', NOW + 200, NOW + 150)).toBeUndefined();
    expect(seen.take(caller.id, 'one', NOW + 50, NOW)).toMatchObject({ reason: 'request_proof_replayed' });
    expect(seen.take(callee.id, 'new', NOW + 50, NOW)).toMatchObject({ reason: 'request_proof_replayed' });
    expect(seen.take(callee.id, 'new', NOW + 150, NOW + 100)).toBeUndefined();
  });

  test('of a few who sign all they can leave room for those who sign little', () => {
    const seen = new SeenNonces(32, 64);
    const agents = ['one', 'two', 'three', 'four'].map((name) => testAgent(name).id);
    for (const agent of agents)
      for (let nonce = 0; nonce < 40; nonce++) seen.take(agent, `${nonce}`, NOW + 50, NOW);
    expect(seen.size).toBeLessThan(64);
    expect(seen.take(caller.id, 'one', NOW + 50, NOW)).toBeUndefined();
    expect(seen.take(agents[0] ?? caller.id, 'more', NOW + 50, NOW)).toMatchObject({
      reason: 'request_proof_busy',
    });
  });

  test('that fill the memory are refused and push nothing out', () => {
    const seen = new SeenNonces(2, 3);
    for (const nonce of ['one', 'two']) expect(seen.take(caller.id, nonce, NOW + 50, NOW)).toBeUndefined();
    expect(seen.take(caller.id, 'three', NOW + 50, NOW)).toMatchObject({ reason: 'request_proof_busy' });
    expect(seen.take(callee.id, 'one', NOW + 50, NOW)).toBeUndefined();
    expect(seen.take(callee.id, 'two', NOW + 50, NOW)).toMatchObject({ reason: 'request_proof_busy' });
    expect(seen.take(caller.id, 'one', NOW + 50, NOW)).toMatchObject({ reason: 'request_proof_replayed' });
    expect(seen.take(caller.id, 'three', NOW + 120, NOW + 60)).toBeUndefined();
  });
});
