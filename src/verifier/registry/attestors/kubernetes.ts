/** Attestation by a projected service-account token, verified offline: the cluster is never asked. */
import { readFileSync, statSync } from 'node:fs';
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import type { ClusterConfig } from '../../../config/attestation-schema.ts';
import type { Json, JsonObject } from '../../../core/encoding/json.ts';
import { isObject } from '../../../core/encoding/members.ts';
import { Refusal } from '../../refusal.ts';
import type { Attestor } from './attestor.ts';
import { readForeignJwt, verifyForeignJwt } from './jwt.ts';

/** What the API server signs with. */
const ALGORITHMS = ['RS256', 'ES256'] as const;

interface Cluster {
  readonly name: string;
  readonly issuer: string;
  readonly keys: () => JWTVerifyGetKey;
}

const asymmetric = (set: JSONWebKeySet): JSONWebKeySet => ({
  keys: set.keys.filter(({ kty }) => kty === 'RSA' || kty === 'EC'),
});

/** Keys in a file, read again when it has another time or size: a cluster rotates them. */
const keysOfFile = (file: string, name: string): (() => JWTVerifyGetKey) => {
  let known: { readonly stamp: string; readonly keys: JWTVerifyGetKey } | undefined;
  return () => {
    try {
      const { mtimeMs, size, ino } = statSync(file);
      const stamp = `${mtimeMs} ${size} ${ino}`;
      if (known?.stamp === stamp) return known.keys;
      const keys = createLocalJWKSet(asymmetric(JSON.parse(readFileSync(file, 'utf8')) as JSONWebKeySet));
      known = { stamp, keys };
      return keys;
    } catch {
      // Half a file, while it is written: the last good one goes on.
      if (known !== undefined) return known.keys;
      throw new Refusal('api_unavailable', `the keys of the cluster ${name} can’t be read from ${file}`);
    }
  };
};

const clusterOf = ({ name, issuer, jwks, jwksFile }: ClusterConfig): Cluster => {
  if (jwks === undefined) return { name, issuer, keys: keysOfFile(jwksFile ?? '', name) };
  const keys = createLocalJWKSet(asymmetric(jwks as JSONWebKeySet));
  return { name, issuer, keys: () => keys };
};

const textAt = (value: Json | undefined, ...path: readonly string[]): string => {
  let at: Json | undefined = value;
  for (const step of path) at = at !== undefined && isObject(at) ? at[step] : undefined;
  return typeof at === 'string' && /^[\x21-\x7e]{1,253}$/.test(at) ? at : '';
};

/** `audience` is what the token must be made for: `spiffe://<trust domain>/verifier`. */
export const kubernetesAttestor = (
  clusters: readonly ClusterConfig[],
  audience: string,
): Attestor<'kubernetes'> => {
  const byIssuer = new Map(clusters.map((cluster) => [cluster.issuer, clusterOf(cluster)]));
  return {
    method: 'kubernetes',
    attest: async ({ token }, { now }) => {
      const cluster = byIssuer.get(String(readForeignJwt(token).claims.iss));
      if (cluster === undefined)
        throw new Refusal(
          'attestation_refused',
          'the service-account token is of no cluster that is known here',
        );
      const { claims } = await verifyForeignJwt(token, {
        issuer: cluster.issuer,
        audience,
        algorithms: ALGORITHMS,
        keys: cluster.keys(),
        now,
        from: `the cluster ${cluster.name}`,
      });
      return { method: 'kubernetes', ...factsOf(claims, cluster.name) };
    },
  };
};

const factsOf = (
  claims: JsonObject,
  cluster: string,
): { readonly facts: readonly string[]; readonly values: Readonly<Record<string, string>> } => {
  const bound = claims['kubernetes.io'];
  const ns = textAt(bound, 'namespace');
  const sa = textAt(bound, 'serviceaccount', 'name');
  const pod = textAt(bound, 'pod', 'name');
  const uid = textAt(bound, 'pod', 'uid');
  const node = textAt(bound, 'node', 'name');
  // A token that is bound to no pod is a long-lived one from a Secret: it outlives what it attests.
  if (ns === '' || sa === '' || pod === '' || uid === '')
    throw new Refusal(
      'attestation_refused',
      'the service-account token is bound to no pod; project one into it',
    );
  if (claims.sub !== `system:serviceaccount:${ns}:${sa}`)
    throw new Refusal('attestation_refused', 'sub and kubernetes.io of the service-account token disagree');
  return {
    facts: [
      `k8s:cluster=${cluster}`,
      `k8s:ns=${ns}`,
      `k8s:sa=${sa}`,
      `k8s:pod=${pod}`,
      `k8s:pod-uid=${uid}`,
      ...(node === '' ? [] : [`k8s:node=${node}`]),
    ],
    values: { sa, pod, pod_uid: uid, ...(node !== '' && { node }) },
  };
};
