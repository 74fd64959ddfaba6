import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ReasonCode } from '../../src/core/reasons.ts';
import { expectAllowed, expectDenied, RefusalCount } from '../testkit/attack.ts';
import { b64u, forgeChain, forgeLinks, LINK_HEADER, type LinkFault, respell } from '../testkit/forge.ts';
import { type Mesh, type MeshAgent, makeMesh } from '../testkit/mesh.ts';
import { signCompact, type Tampering } from '../testkit/raw-peer.ts';

let mesh: Mesh;
let target: MeshAgent;
let refusals: RefusalCount;

beforeAll(async () => {
  mesh = await makeMesh({ domain: { agents: ['client/alice', 'planning/abc123', 'inventory/def456'] } });
  target = await mesh.start('inventory/def456');
  refusals = new RefusalCount(target);
});
afterAll(() => mesh.stop());

const line = () => ['client/alice', 'planning/abc123'].map((name) => mesh.domain.agent(name));
const planning = () => mesh.domain.agent('planning/abc123');

const header = (json: string): LinkFault => ({ header: json });
const payload = (change: (json: string) => Uint8Array | string): LinkFault => ({ payload: change });
const text = (change: (header: string, payload: string, signature: string) => string): LinkFault => ({
  text: (link) => {
    const [head = '', body = '', signature = ''] = link.split('.');
    return change(head, body, signature);
  },
});
const edit = (claims: Record<string, unknown>): LinkFault => ({ edit: claims });
const latin1 = (json: string, octets: readonly number[]): Buffer =>
  Buffer.concat([
    Buffer.from(json.slice(0, -1)),
    Buffer.from(',"purpose":"'),
    Buffer.from(octets),
    Buffer.from('"}'),
  ]);
/** White space, until the octets leave unused bits in the last character. */
const unaligned = (json: string): string => json + ' '.repeat((4 - (json.length % 3)) % 3);

const FAULTS: readonly (readonly [string, LinkFault, ReasonCode])[] = [
  ['alg none', header('{"alg":"none","typ":"dlink+jwt"}'), 'jws_header'],
  [
    'alg none without a signature',
    text((_, body) => `${b64u('{"alg":"none","typ":"dlink+jwt"}')}.${body}.`),
    'jws_structure',
  ],
  ['EdDSA, which is more than Ed25519', header('{"alg":"EdDSA","typ":"dlink+jwt"}'), 'jws_header'],
  ['ES256', header('{"alg":"ES256","typ":"dlink+jwt"}'), 'jws_header'],
  [
    'an embedded jwk',
    header(
      '{"alg":"Ed25519","jwk":{"crv":"Ed25519","kty":"OKP","x":"GkWVK6mZq-DsoaIQkgukqoqg2kqLlbEVVzCa-NH-I5E"},"typ":"dlink+jwt"}',
    ),
    'jws_header',
  ],
  ['a jku', header('{"alg":"Ed25519","jku":"https://evil.example/keys","typ":"dlink+jwt"}'), 'jws_header'],
  ['an x5u', header('{"alg":"Ed25519","typ":"dlink+jwt","x5u":"https://evil.example/x"}'), 'jws_header'],
  [
    'a kid where none belongs',
    header('{"alg":"Ed25519","kid":"GkWVK6mZq-DsoaIQkgukqoqg2kqLlbEVVzCa-NH-I5E","typ":"dlink+jwt"}'),
    'jws_header',
  ],
  ['an unknown crit', header('{"alg":"Ed25519","crit":["x"],"typ":"dlink+jwt","x":1}'), 'jws_header'],
  ['b64 false', header('{"alg":"Ed25519","b64":false,"crit":["b64"],"typ":"dlink+jwt"}'), 'jws_header'],
  ['alg twice', header('{"alg":"none","alg":"Ed25519","typ":"dlink+jwt"}'), 'jws_header'],
  ['another member order', header('{"typ":"dlink+jwt","alg":"Ed25519"}'), 'jws_header'],
  ['white space in the header', header('{"alg": "Ed25519","typ":"dlink+jwt"}'), 'jws_header'],
  ['typ of an initiator’s proof', header('{"alg":"Ed25519","typ":"hs-i+jwt"}'), 'jws_header'],
  ['typ of a WIT', header('{"alg":"Ed25519","typ":"wit+jwt"}'), 'jws_header'],
  ['typ JWT', header('{"alg":"Ed25519","typ":"JWT"}'), 'jws_header'],
  ['a member twice', payload((json) => json.replace('{', '{"exp":4102444800,')), 'json_duplicate_member'],
  [
    'a member twice, deeper',
    payload((json) => json.replace('"act":{', '"act":{"sub":"spiffe://company.com/agent/planning/x",')),
    'json_duplicate_member',
  ],
  [
    'a member twice, spelled with an escape',
    payload((json) => json.replace('{', '{"\\u0065xp":4102444800,')),
    'json_duplicate_member',
  ],
  ['__proto__', payload((json) => json.replace('{', '{"__proto__":{"scope":["cloud:*"]},')), 'claim_unknown'],
  ['constructor', edit({ constructor: { prototype: {} } }), 'claim_unknown'],
  ['a member that nobody knows', edit({ admin: true }), 'claim_unknown'],
  [
    'a private key',
    payload((json) =>
      json.replace('"crv":"Ed25519"', '"crv":"Ed25519","d":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"'),
    ),
    'claim_unknown',
  ],
  ['another curve', payload((json) => json.replace('"crv":"Ed25519"', '"crv":"Ed448"')), 'claim_invalid'],
  ['a padded signature', text((head, body, signature) => `${head}.${body}.${signature}==`), 'jws_structure'],
  ['a padded header', text((head, body, signature) => `${head}==.${body}.${signature}`), 'jws_base64url'],
  [
    'base64 instead of base64url',
    text((head, body, signature) => `${head}.${body}.+/${signature.slice(2)}`),
    'jws_base64url',
  ],
  [
    'unused bits of the signature set',
    text((head, body, signature) => `${head}.${body}.${respell(signature)}`),
    'jws_base64url',
  ],
  [
    'unused bits of the payload set',
    {
      payload: unaligned,
      text: (link) => link.replace(/\.([^.]+)\./, (_, body: string) => `.${respell(body)}.`),
    },
    'jws_base64url',
  ],
  [
    'a space in the payload',
    text((head, body, signature) => `${head}.${body.slice(0, 9)} ${body.slice(9)}.${signature}`),
    'jws_base64url',
  ],
  [
    'a tab in the signature, whose length still fits',
    text((head, body, signature) => `${head}.${body}.${signature.slice(0, 40)}\t${signature.slice(41)}`),
    'jws_base64url',
  ],
  [
    'octets over ASCII',
    text((head, body, signature) => `${head}.\xe9${body.slice(1)}.${signature}`),
    'jws_base64url',
  ],
  [
    'JSON serialisation',
    text((head, body, signature) => JSON.stringify({ protected: head, payload: body, signature })),
    'jws_structure',
  ],
  ['a detached payload', text((head, _, signature) => `${head}..${signature}`), 'jws_structure'],
  [
    'four parts',
    text((head, body, signature) => `${head}.${body}.${signature}.${signature}`),
    'jws_structure',
  ],
  ['a time as a fraction', payload((json) => json.replace(/"exp":(\d+)/, '"exp":$1.5')), 'json_number'],
  ['a time with an exponent', payload((json) => json.replace(/"exp":\d+/, '"exp":4e9')), 'json_number'],
  ['minus zero', payload((json) => json.replace(/"iat":\d+/, '"iat":-0')), 'json_number'],
  [
    'a number over 2^53',
    payload((json) => json.replace(/"exp":\d+/, '"exp":9007199254740993')),
    'json_number',
  ],
  ['a time as a string', payload((json) => json.replace(/"exp":(\d+)/, '"exp":"$1"')), 'claim_invalid'],
  ['a negative time', edit({ iat: -1 }), 'claim_invalid'],
  ['a huge time', edit({ exp: 253_402_300_800 }), 'claim_invalid'],
  ['a time that is null', edit({ exp: null }), 'claim_invalid'],
  ['no exp', edit({ exp: undefined }), 'claim_missing'],
  ['no iat', edit({ iat: undefined }), 'claim_missing'],
  ['no cnf', edit({ cnf: undefined }), 'claim_missing'],
  ['an aud that is a string', edit({ aud: 'company.com' }), 'claim_invalid'],
  ['a max_depth of true', edit({ max_depth: true }), 'claim_invalid'],
  ['invalid UTF-8', payload((json) => latin1(json, [0xc3, 0x28])), 'json_utf8'],
  ['overlong UTF-8', payload((json) => latin1(json, [0xc0, 0xaf])), 'json_utf8'],
  ['a surrogate in UTF-8', payload((json) => latin1(json, [0xed, 0xa0, 0x80])), 'json_utf8'],
  [
    'a lone surrogate in an escape',
    payload((json) => json.replace(/\}$/, ',"purpose":"\\ud800"}')),
    'json_utf8',
  ],
  [
    'a byte order mark',
    payload((json) => Buffer.concat([Buffer.of(0xef, 0xbb, 0xbf), Buffer.from(json)])),
    'json_utf8',
  ],
  ['UTF-16', payload((json) => Buffer.from(json, 'utf16le')), 'json_syntax'],
  ['something behind the object', payload((json) => `${json}{}`), 'json_syntax'],
  ['an array', payload((json) => `[${json}]`), 'json_syntax'],
  ['a comment', payload((json) => `/**/${json}`), 'json_syntax'],
  ['nested nine deep', edit({ purpose: [[[[[[[[1]]]]]]]] }), 'json_depth'],
  ['a purpose with an escape sequence for terminals', edit({ purpose: '\u001b[31mred' }), 'claim_invalid'],
  ['a link over its size', edit({ purpose: 'p'.repeat(3500) }), 'jws_size'],
];

describe('a link that is spelled wrong, in a chain on a proven connection', () => {
  it('would pass if it were spelled right', async () => {
    await expectAllowed(target, planning(), { chain: forgeChain(mesh.domain, line()) });
  });

  describe.each([
    ['the root', 0],
    ['the leaf', 1],
  ] as const)('%s', (_, index) => {
    it.each(FAULTS)('%s', async (_name, fault, reason) => {
      await expectDenied(
        target,
        planning(),
        { chain: forgeChain(mesh.domain, line(), { at: { [index]: fault } }) },
        reason,
      );
    });
  });

  it('HS256 keyed with the public key', async () => {
    const [root = ''] = forgeLinks(mesh.domain, line());
    const input = `${b64u('{"alg":"HS256","typ":"dlink+jwt"}')}.${root.split('.')[1]}`;
    const mac = createHmac('sha256', Buffer.from(mesh.domain.principal().x, 'base64url'))
      .update(input)
      .digest();
    await expectDenied(
      target,
      planning(),
      { chain: `${input}.${b64u(Buffer.concat([mac, mac]))}` },
      'jws_header',
    );
  });

  it.each<readonly [string, () => string, ReasonCode]>([
    ['a WIT as the chain', () => planning().wit, 'jws_header'],
    ['a WIT as the leaf', () => `${forgeLinks(mesh.domain, line())[0]}~${planning().wit}`, 'jws_header'],
    ['a chain in quotes', () => `"${forgeChain(mesh.domain, line())}"`, 'jws_base64url'],
    ['an empty chain', () => '', 'chain_missing'],
    ['only a tilde', () => '~', 'jws_structure'],
    ['links joined by a comma', () => forgeLinks(mesh.domain, line()).join(','), 'jws_structure'],
    ['a percent-encoded tilde', () => forgeLinks(mesh.domain, line()).join('%7E'), 'jws_structure'],
  ])('%s', async (_, chain, reason) => {
    await expectDenied(target, planning(), { chain: chain() }, reason);
  });

  it('a chain and a grant in one header, after the two were verified in two', async () => {
    const chain = forgeChain(mesh.domain, line());
    const grant = mesh.domain.mintGrant(chain, planning(), target.agent);
    await expectAllowed(target, planning(), { chain, grant });
    await expectDenied(target, planning(), { chain: `${chain} ${grant}` }, 'jws_structure');
  });

  it.each(FAULTS.slice(0, 12))('as a grant: %s', async (_, fault, reason) => {
    const links = forgeLinks(mesh.domain, [...line(), target.agent], { at: { 2: fault } });
    await expectDenied(target, planning(), { chain: links.slice(0, 2).join('~'), grant: links[2] }, reason);
  });
});

const witWith = (change: (header: string, payload: string) => readonly [string, string]): Tampering => ({
  fields: (fields) => {
    const [header = '', payload = ''] = planning()
      .wit.split('.')
      .map((part) => Buffer.from(part, 'base64url').toString());
    const [newHeader, newPayload] = change(header, payload);
    return [...fields.slice(0, 3), signCompact(newHeader, newPayload, mesh.domain.issuer.sign)];
  },
});

describe('a WIT or a proof that is spelled wrong, in the handshake', () => {
  it.each<readonly [string, Tampering, ReasonCode]>([
    [
      'a WIT with alg none',
      witWith((header, payload) => [header.replace('Ed25519', 'none'), payload]),
      'jws_header',
    ],
    [
      'a WIT with EdDSA',
      witWith((header, payload) => [header.replace('Ed25519', 'EdDSA'), payload]),
      'jws_header',
    ],
    [
      'a WIT with an embedded key',
      witWith((header, payload) => [header.replace('{', '{"jwk":{},'), payload]),
      'jws_header',
    ],
    ['a WIT with the typ of a link', witWith((_, payload) => [LINK_HEADER, payload]), 'jws_header'],
    [
      'a WIT with sub twice',
      witWith((header, payload) => [
        header,
        payload.replace('{', '{"sub":"spiffe://company.com/agent/security/root",'),
      ]),
      'json_duplicate_member',
    ],
    [
      'a WIT with __proto__',
      witWith((header, payload) => [header, payload.replace('{', '{"__proto__":{},')]),
      'claim_unknown',
    ],
    [
      'a WIT with an aud, as access tokens have',
      witWith((header, payload) => [header, payload.replace('{', '{"aud":"x",')]),
      'claim_unknown',
    ],
    [
      'a WIT whose exp is a string',
      witWith((header, payload) => [header, payload.replace(/"exp":(\d+)/, '"exp":"$1"')]),
      'claim_invalid',
    ],
    [
      'a WIT with white space around it',
      { fields: (fields) => [...fields.slice(0, 3), `${planning().wit} `] },
      'jws_structure',
    ],
    [
      'a WIT with octets over ASCII',
      {
        fields: (fields) => [
          ...fields.slice(0, 3),
          Buffer.from(planning().wit.replace('.', '.\xe9'), 'latin1'),
        ],
      },
      'jws_base64url',
    ],
    ['an empty WIT', { fields: (fields) => [...fields.slice(0, 3), ''] }, 'jws_structure'],
    ['a WIT over its size', { fields: (fields) => [...fields.slice(0, 3), 'A'.repeat(4097)] }, 'jws_size'],
    [
      'a proof with alg none',
      {
        proof: (text) =>
          `${b64u('{"alg":"none","typ":"hs-i+jwt"}')}.${text.split('.')[1]}.${text.split('.')[2]}`,
      },
      'jws_header',
    ],
    [
      'a proof without a signature',
      { proof: (text) => `${text.slice(0, text.lastIndexOf('.'))}.` },
      'jws_structure',
    ],
    ['a proof whose unused bits are set', { proof: respell }, 'jws_base64url'],
    ['a proof with a member too many', { claims: (claims) => ({ ...claims, admin: true }) }, 'claim_unknown'],
    ['a proof that lacks the exporter', { claims: ({ exporter: _, ...claims }) => claims }, 'claim_missing'],
    [
      'a proof whose exporter is padded',
      { claims: (claims) => ({ ...claims, exporter: `${claims.exporter}=` }) },
      'claim_invalid',
    ],
    ['a proof over its size', { claims: (claims) => ({ ...claims, label: 'x'.repeat(3200) }) }, 'jws_size'],
  ])('%s', async (_, tampering, reason) => {
    await refusals.refusesHandshake(planning(), tampering, reason);
  });

  it('all of them are in the log, summed up by source', () => {
    refusals.expectOnRecord();
    expect(target.log().at(-1)?.kind).toBe('checkpoint');
  });
});
