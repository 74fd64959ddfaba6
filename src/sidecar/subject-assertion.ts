/**
 * Who we are, for one token endpoint: signed by the agent key, with the WIT that says whose key it is. The WIT alone would not do:
 * every peer has seen it.
 */
import { randomBytes } from 'node:crypto';
import { signJws } from '../core/encoding/jws.ts';
import type { SidecarIdentity } from '../edge/store/identity-files.ts';

const LIFE_SECONDS = 60;

export const subjectAssertion = (
  { id, wit, sign, key }: SidecarIdentity,
  audience: string,
  nowSeconds: number,
): string =>
  signJws(
    'subject+jwt',
    {
      iss: id,
      sub: id,
      aud: audience,
      wit,
      iat: nowSeconds,
      exp: nowSeconds + LIFE_SECONDS,
      jti: randomBytes(16).toString('base64url'),
    },
    sign,
    key.thumbprint,
  );
