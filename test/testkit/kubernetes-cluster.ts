/** A Kubernetes cluster, as far as a verifier knows one: an issuer with a key, and service-account tokens for pods. */
import type { VerifierConfig } from '../../src/config/verifier-schema.ts';
import { makeForeignKey, signForeign } from './foreign-tokens.ts';
import { TRUST_DOMAIN } from './running-verifier.ts';

const ISSUER = 'https://kubernetes.default.svc';
const NAMESPACE = 'prod';

export class KubernetesCluster {
  private readonly key = makeForeignKey('cluster-1');

  /** For the verifier: believe this cluster. */
  get attestation(): VerifierConfig['attestation'] {
    return {
      kubernetes: [{ name: 'prod', issuer: ISSUER, jwks: { keys: [this.key.jwk] } }],
      oidc: [],
      x509pop: [],
      allowLongSvid: false,
    };
  }

  /** What a registration entry asks of this pod. */
  selectors(serviceAccount: string, pod: string): string[] {
    return [`k8s:ns=${NAMESPACE}`, `k8s:sa=${serviceAccount}`, `k8s:pod=${pod}`];
  }

  /** A projected token of ten minutes. */
  token(serviceAccount: string, pod: string, nowSeconds: number, namespace = NAMESPACE): Promise<string> {
    return signForeign(this.key, {
      iss: ISSUER,
      sub: `system:serviceaccount:${namespace}:${serviceAccount}`,
      aud: [`spiffe://${TRUST_DOMAIN}/verifier`],
      iat: nowSeconds,
      nbf: nowSeconds,
      exp: nowSeconds + 600,
      'kubernetes.io': {
        namespace,
        serviceaccount: { name: serviceAccount, uid: `uid-of-${serviceAccount}` },
        pod: { name: pod, uid: `uid-of-${pod}` },
        node: { name: 'node-1', uid: 'uid-of-node-1' },
      },
    });
  }
}
