/**
 * An OpenID provider that signs whatever it is told to: discovery and key set over real HTTP, and tokens that no honest
 * provider would make. For logins as people know them there is `oidc-provider`.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';

interface Key {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
}

export class IdTokenIssuer {
  /** Answers 503 to everything. */
  down = false;
  /** What its document says that it is, in place of the truth. */
  claimed: string | undefined;
  /** Requests for the key set. */
  asked = 0;
  keys: Key[] = [];
  private readonly server: Server;

  private constructor() {
    this.server = createServer((request, response) => {
      if (this.down) {
        response.writeHead(503).end();
        return;
      }
      response.setHeader('content-type', 'application/json');
      if (request.url === '/.well-known/openid-configuration')
        response.end(
          JSON.stringify({ issuer: this.claimed ?? this.issuer, jwks_uri: `${this.issuer}/jwks` }),
        );
      else if (request.url === '/jwks') {
        this.asked++;
        response.end(JSON.stringify({ keys: this.keys.map(({ jwk }) => jwk) }));
      } else response.writeHead(404).end();
    });
  }

  static async start(): Promise<IdTokenIssuer> {
    const issuer = new IdTokenIssuer();
    await new Promise<void>((resolve) => {
      issuer.server.listen(0, '127.0.0.1', resolve);
    });
    await issuer.rotate();
    return issuer;
  }

  get issuer(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** A new key in the place of all others. */
  async rotate(alg = 'ES256'): Promise<Key> {
    const key = await makeKey(alg);
    this.keys = [key];
    return key;
  }

  /** Signs claims with the present key, or with another one. */
  sign(
    claims: JWTPayload,
    key = this.keys[0],
    header: Readonly<Record<string, unknown>> = {},
  ): Promise<string> {
    if (key === undefined) throw new Error('the provider has no key');
    return new SignJWT(claims)
      .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'JWT', ...header })
      .sign(key.privateKey);
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => {
      this.server.close(resolve);
    });
  }
}

let made = 0;

/** A key that no provider publishes unless it is put into its `keys`. */
export const makeKey = async (alg: string): Promise<Key> => {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const kid = `key-${++made}`;
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
};
