/** Strict parsing: compact form, header, JSON, closed objects. Each is signed by the key that could have signed it. */
import { createHmac } from 'node:crypto';
import { type Case, NOW } from './case.ts';
import { proofClaims } from './handshake-world.ts';
import { b64u, type Claims, headerOf, jcs, jws, rawJws, withSignature } from './signing.ts';
import {
  ALICE,
  bind,
  bundle,
  bundleClaims,
  CLIENT,
  childClaims,
  INVENTORY,
  ISSUER,
  makeChain,
  PLANNER,
  POLICY,
  ROOT,
  roles,
  rootClaims,
  wit,
  witClaims,
} from './world.ts';

const parse = (
  comment: string,
  text: string,
  reason: string,
  type = 'link',
  source = type === 'link' ? '7.1' : '6',
): Case => ({ comment, source, now: NOW, input: { type, jws: text }, expect: { reason } });

const LINK = headerOf('dlink+jwt');
const claims = rootClaims(CLIENT);
const text = JSON.stringify(claims);
const good = jws('dlink+jwt', claims, ALICE);
const [header = '', payload = '', signature = ''] = good.split('.');

const form = (comment: string, jwsText: string, reason: string): Case =>
  parse(comment, jwsText, reason, 'link', '2');
const head = (comment: string, json: string): Case => form(comment, rawJws(json, text, ALICE), 'jws_header');
const json = (comment: string, octets: Uint8Array | string, reason: string): Case =>
  form(comment, rawJws(LINK, octets, ALICE), reason);
const root = (comment: string, edit: Claims, reason: string): Case =>
  parse(comment, jws('dlink+jwt', rootClaims(CLIENT, edit), ALICE), reason);
const parent = makeChain({ agents: [CLIENT] })[0] ?? '';
const child = (comment: string, edit: Claims, reason: string): Case =>
  parse(comment, jws('dlink+jwt', childClaims(parent, CLIENT, PLANNER, 1, edit), CLIENT.key), reason);

/** The last character of a 32- or 64-octet string carries unused bits; this sets one of them. */
const nextCharacter = (part: string): string => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return part.slice(0, -1) + alphabet.charAt(alphabet.indexOf(part.slice(-1)) + 1);
};
const hmac = (): string => {
  const input = `${b64u('{"alg":"HS256","typ":"dlink+jwt"}')}.${payload}`;
  const mac = createHmac('sha256', Buffer.from(ALICE.x, 'base64url')).update(input).digest();
  return `${input}.${b64u(Buffer.concat([mac, mac]))}`;
};
/** A payload whose last base64url character has unused bits. */
const padded = rawJws(LINK, text + ' '.repeat((4 - (text.length % 3)) % 3), ALICE).split('.')[1] ?? '';

const compact = (): Case[] => [
  form('a good L0', good, 'ok'),
  form('no text', '', 'jws_structure'),
  form('only two parts', `${header}.${payload}`, 'jws_structure'),
  form('four parts', `${good}.${signature}`, 'jws_structure'),
  form('an empty header', `.${payload}.${signature}`, 'jws_structure'),
  form('an empty payload', `${header}..${signature}`, 'jws_structure'),
  form('an empty signature', `${header}.${payload}.`, 'jws_structure'),
  form(
    'a signature of 63 octets',
    withSignature(good, (s) => s.subarray(1)),
    'jws_structure',
  ),
  form(
    'a signature of 65 octets',
    withSignature(good, (s) => Buffer.concat([s, s.subarray(63)])),
    'jws_structure',
  ),
  form('a padded signature', `${good}==`, 'jws_structure'),
  form('a newline behind the signature', `${good}\n`, 'jws_structure'),
  form('white space before the header', ` ${good}`, 'jws_base64url'),
  form(
    'a newline in the payload',
    `${header}.${payload.slice(0, 40)}\n${payload.slice(40)}.${signature}`,
    'jws_base64url',
  ),
  form(
    'a newline in the signature, whose length still fits',
    `${header}.${payload}.\n${signature.slice(1)}`,
    'jws_base64url',
  ),
  form(
    'base64 letters instead of base64url',
    `${header}.${payload}.+/${signature.slice(2)}`,
    'jws_base64url',
  ),
  form('a padded header', `${header}==.${payload}.${signature}`, 'jws_base64url'),
  form('a padded payload', `${header}.${padded}=.${signature}`, 'jws_base64url'),
  form(
    'unused bits of the signature set',
    `${header}.${payload}.${nextCharacter(signature)}`,
    'jws_base64url',
  ),
  form('unused bits of the payload set', `${header}.${nextCharacter(padded)}.${signature}`, 'jws_base64url'),
  form(
    'a payload with a length of 1 mod 4',
    `${header}.${payload.slice(0, payload.length - (payload.length % 4))}A.${signature}`,
    'jws_base64url',
  ),
  form('a letter that is not ASCII', `${header}.é${payload.slice(1)}.${signature}`, 'jws_base64url'),
  form(
    'a JWS in JSON serialisation',
    JSON.stringify({ protected: header, payload, signature }),
    'jws_structure',
  ),
  form('a link of 4096 octets, or one less', jws('dlink+jwt', sized(4095), ALICE), 'ok'),
  form('a link of 4097 octets, or one more', jws('dlink+jwt', sized(4097), ALICE), 'jws_size'),
  form('a link far over its cap', `${header}.${'A'.repeat(10_000)}.${signature}`, 'jws_size'),
];

/** L0 with a caveat that fills it to the least number of octets that is `wanted` or more. */
const sized = (wanted: number): Claims => {
  for (let octets = 1; octets < 4096; octets++) {
    const filled = rootClaims(CLIENT, { caveats: [{ type: 'resource', paths: [`/${'a'.repeat(octets)}`] }] });
    const payloadOctets = Math.ceil((JSON.stringify(filled).length * 4) / 3);
    if (header.length + payloadOctets + 88 >= wanted) return filled;
  }
  throw new Error('no filler fits');
};

const headers = (): Case[] => [
  head('alg none', '{"alg":"none","typ":"dlink+jwt"}'),
  form('HS256 keyed with the public key', hmac(), 'jws_header'),
  head('alg EdDSA, which is more than Ed25519', '{"alg":"EdDSA","typ":"dlink+jwt"}'),
  head('alg ES256', '{"alg":"ES256","typ":"dlink+jwt"}'),
  head('alg in lower case', '{"alg":"ed25519","typ":"dlink+jwt"}'),
  head('no alg', '{"typ":"dlink+jwt"}'),
  head('no typ', '{"alg":"Ed25519"}'),
  head('typ of a JWT', '{"alg":"Ed25519","typ":"JWT"}'),
  head('typ with its media type prefix', '{"alg":"Ed25519","typ":"application/dlink+jwt"}'),
  head('an embedded key', `{"alg":"Ed25519","jwk":${JSON.stringify(ALICE.jwk)},"typ":"dlink+jwt"}`),
  head('a key by URL', '{"alg":"Ed25519","jku":"https://evil.example/keys","typ":"dlink+jwt"}'),
  head('a certificate by URL', '{"alg":"Ed25519","typ":"dlink+jwt","x5u":"https://evil.example/cert"}'),
  head('a kid, which links do not have', headerOf('dlink+jwt', ALICE.jkt)),
  head('an unknown crit', '{"alg":"Ed25519","crit":["exp"],"typ":"dlink+jwt"}'),
  head('an unencoded payload', '{"alg":"Ed25519","b64":false,"crit":["b64"],"typ":"dlink+jwt"}'),
  head('alg twice, the first one none', '{"alg":"none","alg":"Ed25519","typ":"dlink+jwt"}'),
  head('another member order', '{"typ":"dlink+jwt","alg":"Ed25519"}'),
  head('white space in the header', '{"alg": "Ed25519","typ":"dlink+jwt"}'),
  head('an escape in the header', '{"alg":"Ed25519","typ":"dlink\\u002bjwt"}'),
  head('a header that is no object', '"Ed25519"'),
  form('a WIT as link', wit(CLIENT), 'jws_header'),
  form('a proof as link', jws('hs-i+jwt', proofClaims('initiator'), CLIENT.key), 'jws_header'),
  parse('a link as WIT', good, 'jws_header', 'wit', '2'),
  parse('a WIT without kid', jws('wit+jwt', witClaims(CLIENT), ISSUER), 'jws_header', 'wit', '2'),
  parse(
    'a WIT whose kid is no thumbprint',
    rawJws('{"alg":"Ed25519","kid":"key-1","typ":"wit+jwt"}', JSON.stringify(witClaims(CLIENT)), ISSUER),
    'jws_header',
    'wit',
    '2',
  ),
  parse(
    'a WIT whose kid has unused bits set',
    rawJws(headerOf('wit+jwt', nextCharacter(ISSUER.jkt)), JSON.stringify(witClaims(CLIENT)), ISSUER),
    'jws_header',
    'wit',
    '2',
  ),
  parse(
    'a proof of the responder as one of the initiator',
    jws('hs-r+jwt', proofClaims('responder'), CLIENT.key),
    'jws_header',
    'proof-i',
    '2',
  ),
  parse(
    'a proof of the initiator as one of the responder',
    jws('hs-i+jwt', proofClaims('initiator'), CLIENT.key),
    'jws_header',
    'proof-r',
    '2',
  ),
  parse('roles as bundle', roles(), 'jws_header', 'bundle', '2'),
  parse('a bundle as roles', bundle({ roles: bundle() }), 'jws_header', 'bundle', '2'),
];

const deep = (levels: number): string => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;

const payloads = (): Case[] => [
  json('a byte order mark', Buffer.concat([Buffer.of(0xef, 0xbb, 0xbf), Buffer.from(text)]), 'json_utf8'),
  json(
    'UTF-16 with a byte order mark',
    Buffer.concat([Buffer.of(0xff, 0xfe), Buffer.from(text, 'utf16le')]),
    'json_utf8',
  ),
  json(
    'an octet that is no UTF-8',
    Buffer.concat([Buffer.from('{"purpose":"'), Buffer.of(0xff), Buffer.from('"}')]),
    'json_utf8',
  ),
  json(
    'an overlong slash',
    Buffer.concat([Buffer.from('{"purpose":"'), Buffer.of(0xc0, 0xaf), Buffer.from('"}')]),
    'json_utf8',
  ),
  json(
    'a surrogate in UTF-8',
    Buffer.concat([Buffer.from('{"purpose":"'), Buffer.of(0xed, 0xa0, 0x80), Buffer.from('"}')]),
    'json_utf8',
  ),
  json(
    'a cut UTF-8 sequence',
    Buffer.concat([Buffer.from('{"purpose":"'), Buffer.of(0xe2, 0x82), Buffer.from('"}')]),
    'json_utf8',
  ),
  json('a lone high surrogate in an escape', text.replace('{', '{"purpose":"\\ud800",'), 'json_utf8'),
  json('a lone low surrogate in an escape', text.replace('{', '{"purpose":"\\udc00x",'), 'json_utf8'),
  json('a surrogate pair in escapes', text.replace('{', '{"purpose":"\\ud83d\\ude80",'), 'ok'),
  json('scope twice', text.replace('"scope":', '"scope":["cloud:read"],"scope":'), 'json_duplicate_member'),
  json(
    'scope twice, once in escapes',
    text.replace('"scope":', '"\\u0073cope":["cloud:read"],"scope":'),
    'json_duplicate_member',
  ),
  json(
    'a member twice in a nested object',
    text.replace('"act":{', '"act":{"sub":"x",'),
    'json_duplicate_member',
  ),
  json('a time with a fraction', text.replace(/"exp":(\d+)/, '"exp":$1.5'), 'json_number'),
  json('a whole number spelled with a fraction', text.replace(/"exp":(\d+)/, '"exp":$1.0'), 'json_number'),
  json('a number with an exponent', text.replace('"max_depth":5', '"max_depth":5e0'), 'json_number'),
  json('minus zero', text.replace('"max_depth":5', '"max_depth":-0'), 'json_number'),
  json('a number over 2^53−1', text.replace(/"exp":\d+/, '"exp":9007199254740992'), 'json_number'),
  json('a number that no double holds', text.replace(/"exp":\d+/, `"exp":${'9'.repeat(400)}`), 'json_number'),
  json('a leading zero', text.replace('"max_depth":5', '"max_depth":05'), 'json_syntax'),
  json('a plus sign', text.replace('"max_depth":5', '"max_depth":+5'), 'json_syntax'),
  json('NaN', text.replace('"max_depth":5', '"max_depth":NaN'), 'json_syntax'),
  json('eight levels of nesting, in a member that nobody knows', deep(8), 'claim_unknown'),
  json('nine levels of nesting', deep(9), 'json_depth'),
  json('nine levels of arrays', `{"a":${'['.repeat(8)}${']'.repeat(8)}}`, 'json_depth'),
  json('a thousand levels', deep(1000 / 2).slice(0, 2900), 'json_depth'),
  json('something behind the object', `${text}{}`, 'json_syntax'),
  json('two objects', `${text},${text}`, 'json_syntax'),
  json('a NUL behind the object', `${text}\0`, 'json_syntax'),
  json('an array', `[${text}]`, 'json_syntax'),
  json('null', 'null', 'json_syntax'),
  json('a cut object', text.slice(0, -1), 'json_syntax'),
  json('a comma too many', text.replace(/\}$/, ',}'), 'json_syntax'),
  json('a comment', text.replace('{', '{/**/'), 'json_syntax'),
  json('single quotes', text.replaceAll('"', "'"), 'json_syntax'),
  json('a control character in a string', text.replace('{', '{"purpose":"a\tb",'), 'json_syntax'),
  json('an escape that JSON does not have', text.replace('{', '{"purpose":"\\x41",'), 'json_syntax'),
  json('white space between tokens', JSON.stringify(claims, null, 1), 'ok'),
  json('__proto__', text.replace('{', '{"__proto__":{"scope":["cloud:*"]},'), 'claim_unknown'),
  json('__proto__ in a nested object', text.replace('"act":{', '"act":{"__proto__":{},'), 'claim_unknown'),
  json('constructor', text.replace('{', '{"constructor":{},'), 'claim_unknown'),
];

const without = (name: string): Case => root(`no ${name}`, { [name]: undefined }, 'claim_missing');
const { act, cnf } = claims as Record<string, Claims>;

const members = (): Case[] => [
  root(
    'all optional members',
    {
      caveats: [{ type: 'before', time: NOW + 60 }],
      purpose: 'infrastructure:review – für Alice',
      task: POLICY.jkt,
      orig: {
        iss: 'https://login.example',
        sub: 'u-1',
        auth_time: NOW - 700,
        token_hash: POLICY.jkt,
        acr: 'phr',
      },
    },
    'ok',
  ),
  ...['iss', 'sub', 'act', 'cnf', 'aud', 'jti', 'iat', 'exp', 'scope', 'max_depth'].map(without),
  root('nbf', { nbf: NOW }, 'claim_unknown'),
  root('an unknown member of act', { act: { ...act, act: act } }, 'claim_unknown'),
  root('a private key in cnf', { cnf: { jwk: { ...CLIENT.key.jwk, d: CLIENT.key.x } } }, 'claim_unknown'),
  root('a key use in cnf', { cnf: { jwk: { ...CLIENT.key.jwk, use: 'sig' } } }, 'claim_unknown'),
  root('a thumbprint beside the key', { cnf: { ...cnf, jkt: CLIENT.key.jkt } }, 'claim_unknown'),
  root('a thumbprint in place of the key', { cnf: { jkt: CLIENT.key.jkt } }, 'claim_unknown'),
  root('no key in cnf', { cnf: {} }, 'claim_missing'),
  root('no x in the key', { cnf: { jwk: { kty: 'OKP', crv: 'Ed25519' } } }, 'claim_missing'),
  root('a key of another curve', { cnf: { jwk: { ...CLIENT.key.jwk, crv: 'X25519' } } }, 'claim_invalid'),
  root('a key of another type', { cnf: { jwk: { ...CLIENT.key.jwk, kty: 'EC' } } }, 'claim_invalid'),
  root(
    'a key of 31 octets',
    { cnf: { jwk: { ...CLIENT.key.jwk, x: CLIENT.key.x.slice(0, 42) } } },
    'claim_invalid',
  ),
  root(
    'a key whose spelling has unused bits set',
    { cnf: { jwk: { ...CLIENT.key.jwk, x: nextCharacter(CLIENT.key.x) } } },
    'claim_invalid',
  ),
  root('a key as text', { cnf: { jwk: CLIENT.key.x } }, 'claim_invalid'),
  root('exp as text', { exp: String(NOW + 3600) }, 'claim_invalid'),
  root('a negative iat', { iat: -1 }, 'claim_invalid'),
  root('iat zero', { iat: 0 }, 'claim_invalid'),
  root('exp in milliseconds', { exp: (NOW + 3600) * 1000 }, 'claim_invalid'),
  root('exp past the year 9999', { exp: 253_402_300_800 }, 'claim_invalid'),
  root('exp null', { exp: null }, 'claim_invalid'),
  root('exp equal to iat', { exp: NOW - 60 }, 'claim_invalid'),
  root('exp before iat', { exp: NOW - 61 }, 'claim_invalid'),
  root('jti too short', { jti: 'abc' }, 'claim_invalid'),
  root('jti too long', { jti: 'a'.repeat(65) }, 'claim_invalid'),
  root('jti with a colon', { jti: 'urn:uuid:0123456789' }, 'claim_invalid'),
  root('no trust domain in aud', { aud: [] }, 'claim_invalid'),
  root('nine trust domains in aud', { aud: [...'abcdefghi'].map((name) => `${name}.com`) }, 'claim_invalid'),
  root('a trust domain twice in aud', { aud: ['company.com', 'company.com'] }, 'claim_invalid'),
  root('aud as text', { aud: 'company.com' }, 'claim_invalid'),
  root('aud in upper case', { aud: ['Company.com'] }, 'claim_invalid'),
  root('aud as URI', { aud: ['spiffe://company.com'] }, 'claim_invalid'),
  root('max_depth zero', { max_depth: 0 }, 'claim_invalid'),
  root('max_depth nine', { max_depth: 9 }, 'claim_invalid'),
  root('max_depth 1000', { max_depth: 1000 }, 'claim_invalid'),
  root('max_depth as text', { max_depth: '5' }, 'claim_invalid'),
  root('scope as text', { scope: 'cloud:read' }, 'claim_invalid'),
  root('caveats as object', { caveats: { type: 'before', time: NOW } }, 'caveat_invalid'),
  root('no caveat in caveats', { caveats: [] }, 'caveat_invalid'),
  root(
    '17 caveats',
    { caveats: Array.from({ length: 17 }, (_, at) => ({ type: 'before', time: NOW + at })) },
    'caveat_invalid',
  ),
  root('an empty purpose', { purpose: '' }, 'claim_invalid'),
  root('a purpose of 256 characters', { purpose: 'p'.repeat(256) }, 'ok'),
  root('a purpose of 257 characters', { purpose: 'p'.repeat(257) }, 'claim_invalid'),
  root('a terminal escape in the purpose', { purpose: 'review\u001b[2J' }, 'claim_invalid'),
  root('text that runs backwards in the purpose', { purpose: 'review \u202egnihton' }, 'claim_invalid'),
  root('a line separator in the purpose', { purpose: 'review\u2028all' }, 'claim_invalid'),
  root('a zero-width space in the purpose', { purpose: 're\u200bview' }, 'claim_invalid'),
  root('a principal without scheme', { sub: 'alice' }, 'claim_invalid'),
  root('a principal with a space', { sub: 'mailto:alice smith' }, 'claim_invalid'),
  root('a principal with a look-alike letter', { sub: 'mailto:аlice@company.com' }, 'claim_invalid'),
  root('a principal of 513 characters', { sub: `mailto:${'a'.repeat(506)}` }, 'claim_invalid'),
  root('iss as bare thumbprint', { iss: ALICE.jkt }, 'claim_invalid'),
  root('a task that is no link id', { task: 'task-1' }, 'claim_invalid'),
  root(
    'an unknown member of orig',
    { orig: { iss: 'a', sub: 'b', auth_time: NOW, token_hash: 'c', email: 'd' } },
    'claim_unknown',
  ),
  root('orig without token_hash', { orig: { iss: 'a', sub: 'b', auth_time: NOW } }, 'claim_missing'),
  root(
    'auth_time as text',
    { orig: { iss: 'a', sub: 'b', auth_time: 'c', token_hash: 'c' } },
    'claim_invalid',
  ),
  root(
    'a delegatee that is no agent ID',
    { act: { sub: 'spiffe://company.com/ns/default/sa/web' } },
    'claim_invalid',
  ),
  root('a pattern as delegatee', { act: { sub: 'spiffe://company.com/agent/planner/*' } }, 'claim_invalid'),
  root('no delegatee', { act: {} }, 'claim_missing'),
  child('a good child', {}, 'ok'),
  child('a child without par_hash', { par_hash: undefined }, 'claim_missing'),
  child('a child without kb', { kb: undefined }, 'claim_missing'),
  child('a par_hash that is no digest', { par_hash: 'AAAA' }, 'claim_invalid'),
  child(
    'a par_hash whose spelling has unused bits set',
    { par_hash: nextCharacter(ALICE.jkt) },
    'claim_invalid',
  ),
  child('rebind false', { rebind: false }, 'claim_invalid'),
  child('a task in a child', { task: POLICY.jkt }, 'claim_unknown'),
  child('kb without signature', { kb: { exp: NOW + 60, kid: ISSUER.jkt } }, 'claim_missing'),
  child('kb with the name it binds', { kb: { ...bind(CLIENT), sub: CLIENT.id } }, 'claim_unknown'),
  child('kb as JWS', { kb: wit(CLIENT) }, 'claim_invalid'),
  child(
    'a kb signature of 63 octets',
    { kb: { ...bind(CLIENT), sig: b64u(Buffer.alloc(63)) } },
    'claim_invalid',
  ),
];

const scopes = (): Case[] => [
  root('an empty scope', { scope: [] }, 'scope_empty'),
  root('the scope *', { scope: ['*'] }, 'scope_invalid'),
  root('the same pattern twice', { scope: ['cloud:read', 'cloud:read'] }, 'scope_invalid'),
  root('65 patterns', { scope: Array.from({ length: 65 }, (_, at) => `a:${at}`) }, 'scope_invalid'),
  root('64 patterns', { scope: Array.from({ length: 64 }, (_, at) => `a:${at}`) }, 'ok'),
  root('a number as pattern', { scope: [1] }, 'scope_invalid'),
  root('an unknown caveat', { caveats: [{ type: 'geo', country: 'CH' }] }, 'caveat_unknown'),
  root('a caveat of an inherited name', { caveats: [{ type: 'constructor' }] }, 'caveat_unknown'),
  root('a caveat without type', { caveats: [{ time: NOW }] }, 'caveat_invalid'),
  root('a caveat as text', { caveats: ['before'] }, 'caveat_invalid'),
];

const otherTypes = (): Case[] => [
  parse('a good WIT', wit(INVENTORY), 'ok', 'wit'),
  parse(
    'a WIT with a private key',
    wit(INVENTORY, { cnf: { jwk: { ...INVENTORY.key.jwk, d: 'AA' } } }),
    'claim_unknown',
    'wit',
  ),
  parse(
    'a WIT with a private audit key',
    wit(INVENTORY, { audit_jwk: { ...INVENTORY.key.jwk, d: 'AA' } }),
    'claim_unknown',
    'wit',
  ),
  parse('a WIT with aud', wit(INVENTORY, { aud: 'x' }), 'claim_unknown', 'wit'),
  parse('a WIT without exp', wit(INVENTORY, { exp: undefined }), 'claim_missing', 'wit'),
  parse('a WIT for no agent', wit(INVENTORY, { sub: 'spiffe://company.com/' }), 'claim_invalid', 'wit'),
  parse(
    'attested facts that are no text',
    wit(INVENTORY, { attested: { uid: 1000 } }),
    'claim_invalid',
    'wit',
  ),
  parse(
    'a WIT of more than 4096 octets',
    wit(INVENTORY, { attested: { image: 'a'.repeat(4000) } }),
    'jws_size',
    'wit',
  ),
  parse(
    'a good proof of the initiator',
    jws('hs-i+jwt', proofClaims('initiator'), CLIENT.key),
    'ok',
    'proof-i',
    '11',
  ),
  parse(
    'a good proof of the responder',
    jws('hs-r+jwt', proofClaims('responder'), CLIENT.key),
    'ok',
    'proof-r',
    '11',
  ),
  parse(
    'a proof without exporter',
    jws('hs-i+jwt', proofClaims('initiator', { exporter: undefined }), CLIENT.key),
    'claim_missing',
    'proof-i',
    '11',
  ),
  parse(
    'a proof with a nonce',
    jws('hs-i+jwt', { ...proofClaims('initiator'), nonce: 'x' }, CLIENT.key),
    'claim_unknown',
    'proof-i',
    '11',
  ),
  parse(
    'a proof whose exporter has 31 octets',
    jws('hs-i+jwt', proofClaims('initiator', { exporter: b64u(Buffer.alloc(31)) }), CLIENT.key),
    'claim_invalid',
    'proof-i',
    '11',
  ),
  parse('a good bundle', bundle(), 'ok', 'bundle', '9'),
  parse(
    'a bundle that is canonical JSON',
    rawJws(headerOf('bundle+jwt', POLICY.jkt), jcs(bundleClaims()), POLICY),
    'ok',
    'bundle',
    '9',
  ),
  parse('roles without root', bundle({ roles: roles({ root: undefined }) }), 'claim_missing', 'bundle', '9'),
  parse(
    'roles over 16384 octets',
    bundle({ roles: roles({ policy: Array.from({ length: 200 }, () => ROOT.jwk) }) }),
    'jws_size',
    'bundle',
    '9',
  ),
];

export const jwsCases = (): Case[] => [
  ...compact(),
  ...headers(),
  ...payloads(),
  ...members(),
  ...scopes(),
  ...otherTypes(),
];
