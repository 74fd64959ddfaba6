/** How the verifier recognises workloads: the clusters, identity providers and foreign trust domains whose word counts. */
import { z } from 'zod';
import { file, trustDomain } from './forms.ts';

const jwk = z.looseObject({ kty: z.string().describe('Key type: RSA, EC or OKP.') });
const jwks = z
  .strictObject({ keys: z.array(jwk).min(1).max(32).describe('Public keys, RFC 7517.') })
  .describe('A JWK set, inline.');

const httpsUrl = (what: string) =>
  z
    .string()
    .max(512)
    .refine((text) => {
      if (!URL.canParse(text)) return false;
      const { protocol, hostname, username, password, hash } = new URL(text);
      const local = ['127.0.0.1', '[::1]', 'localhost'].includes(hostname);
      return (
        (protocol === 'https:' || (protocol === 'http:' && local)) && `${username}${password}${hash}` === ''
      );
    }, `${what}: an https URL; http only on this machine`);

const clusterName = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/, 'a name: lower-case letters, digits, "." and "-"');

const cluster = z
  .strictObject({
    name: clusterName.describe('For selectors: k8s:cluster=…'),
    issuer: z.string().min(1).max(512).describe('`iss` of its service-account tokens, octet for octet.'),
    jwks: jwks.optional(),
    jwksFile: file
      .optional()
      .describe(
        'The same in a file, as `kubectl get --raw /openid/v1/jwks` prints it; read again when it changes.',
      ),
  })
  .refine(
    (one) => (one.jwks === undefined) !== (one.jwksFile === undefined),
    'either jwks or jwksFile: the keys of the cluster’s service accounts',
  );

const issuer = z.strictObject({
  issuer: httpsUrl('an issuer').describe('`iss` of its access tokens, octet for octet.'),
  jwksUri: httpsUrl('where its keys are').describe(
    'Its JWK set; fetched, cached, and fetched again for a key that is new.',
  ),
  audience: z
    .string()
    .min(1)
    .max(256)
    .optional()
    .describe('What `aud` must contain; spiffe://<trust domain>/verifier unless said.'),
  algorithms: z
    .array(z.enum(['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA', 'Ed25519']))
    .min(1)
    .default(['RS256', 'ES256'])
    .describe('Asymmetric ones only.'),
});

const foreignDomain = z.strictObject({
  trustDomain: trustDomain.describe('Its name.'),
  authorities: file.describe('Its X.509 CA certificates, PEM.'),
});

export const attestationSchema = z
  .strictObject({
    kubernetes: z
      .array(cluster)
      .max(16)
      .default([])
      .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, 'two clusters have one name')
      .refine(
        (all) => new Set(all.map((one) => one.issuer)).size === all.length,
        'two clusters have one issuer',
      )
      .describe('Clusters whose projected service-account tokens attest pods. Checked offline.'),
    oidc: z
      .array(issuer)
      .max(16)
      .default([])
      .refine(
        (all) => new Set(all.map((one) => one.issuer)).size === all.length,
        'an issuer stands there twice',
      )
      .describe('Identity providers whose client-credentials tokens attest workloads.'),
    x509pop: z
      .array(foreignDomain)
      .max(16)
      .default([])
      .refine(
        (all) => new Set(all.map((one) => one.trustDomain)).size === all.length,
        'a trust domain stands there twice',
      )
      .describe('Foreign trust domains whose X.509-SVIDs attest workloads. Our own always do.'),
    allowLongSvid: z
      .boolean()
      .default(false)
      .describe('Lets a registration entry have SVIDs that live longer than an hour.'),
  })
  .prefault({})
  .describe('How workloads are recognised when they enrol.');

export type AttestationConfig = z.output<typeof attestationSchema>;
export type ClusterConfig = z.output<typeof cluster>;
export type ClientIssuerConfig = z.output<typeof issuer>;
