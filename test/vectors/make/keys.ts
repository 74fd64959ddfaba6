/** Admission of public keys. */
import { type Case, NOW } from './case.ts';
import { b64u, key } from './signing.ts';
import { identityKey, mixedOrderKey, nonCanonical, offCurve, SMALL_ORDER } from './torsion.ts';

const admit = (comment: string, x: string, reason: string): Case => ({
  comment,
  source: '4',
  now: NOW,
  input: { x },
  expect: { reason },
});

const good = Buffer.from(key('agent company.com/client/alice').x, 'base64url');

export const keyCases = (): Case[] => [
  admit('an ordinary key', b64u(good), 'ok'),
  admit('another ordinary key', key('issuer company.com').x, 'ok'),
  // RFC 8032 §7.1, test 1.
  admit('the key of RFC 8032 §7.1 test 1', '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo', 'ok'),
  admit('no octets', '', 'key_length'),
  admit('31 octets', b64u(good.subarray(0, 31)), 'key_length'),
  admit('33 octets', b64u(Buffer.concat([good, Buffer.of(0)])), 'key_length'),
  admit('64 octets', b64u(Buffer.concat([good, good])), 'key_length'),
  admit('an octet string that is no point of the curve', b64u(offCurve()), 'key_not_canonical'),
  ...nonCanonical().map(([what, octets]) =>
    admit(`a second spelling of a point: ${what}`, b64u(octets), 'key_not_canonical'),
  ),
  ...SMALL_ORDER.map(([what, hex]) => admit(what, b64u(Buffer.from(hex, 'hex')), 'key_small_order')),
  admit('the identity point again, under which R = B, S = 1 signs all', identityKey.x, 'key_small_order'),
  admit('a multiple of the base point plus a point of order 8', mixedOrderKey.x, 'key_mixed_order'),
];
