/** Compact form and protected header. */
import { createHmac } from 'node:crypto';
import type { Case } from './case.ts';
import { proofClaims } from './handshake-world.ts';
import { form, good, header, LINK, nextCharacter, parse, payload, signature, text } from './jws-case.ts';
import { b64u, type Claims, headerOf, jws, rawJws, withSignature } from './signing.ts';
import { ALICE, bundle, CLIENT, ISSUER, roles, rootClaims, wit, witClaims } from './world.ts';

const head = (comment: string, json: string): Case => form(comment, rawJws(json, text, ALICE), 'jws_header');
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
  parse('a bundle as roles', bundle(), 'jws_header', 'roles', '2'),
];

export const formCases = (): Case[] => [...compact(), ...headers()];
