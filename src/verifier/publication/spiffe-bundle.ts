/** The trust domain's keys as SPIFFE writes them (SPIFFE Trust Domain and Bundle, section 4), for those who are not ours. */
import { X509Certificate } from 'node:crypto';
import type { AnswerOf } from '../../api/endpoint.ts';
import type { trustEndpoints } from '../../api/trust.ts';
import { jwkOf, thumbprintOf } from '../../core/keys.ts';
import type { Roles } from '../../core/trust/roles.ts';

export type SpiffeBundle = AnswerOf<(typeof trustEndpoints)['getSpiffeBundle']>;

/** A rotation’s overlap is hours; so often is often enough. */
const REFRESH_HINT_SECONDS = 300;

/**
 * `x509-svid`: the SVID CAs. `wit-svid`: the WIT issuers; who doesn't know that use ignores the key. There is no `jwt-svid`:
 * we issue none. The sequence is the epoch, which is new whenever a key is.
 */
export const spiffeBundleOf = (roles: Roles): SpiffeBundle => ({
  keys: [
    ...roles.x509.map((der) => {
      const { x = '', y = '' } = new X509Certificate(der).publicKey.export({ format: 'jwk' });
      return {
        kty: 'EC' as const,
        use: 'x509-svid' as const,
        crv: 'P-256' as const,
        x,
        y,
        x5c: [der.toString('base64')],
      };
    }),
    ...roles.issuers.map((x) => ({ ...jwkOf(x), use: 'wit-svid' as const, kid: thumbprintOf(x) })),
  ],
  spiffe_sequence: roles.epoch,
  spiffe_refresh_hint: REFRESH_HINT_SECONDS,
});
