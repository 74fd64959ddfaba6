/** A real OpenID provider (`oidc-provider`) that gives services access tokens for themselves, in the time of the test. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';
import type { VerifierConfig } from '../../src/config/verifier-schema.ts';
import { freePort } from './free-port.ts';
import type { TestClock } from './test-clock.ts';

const TOKEN_SECONDS = 600;

export interface ServiceClient {
  readonly id: string;
  readonly secret: string;
}

export class WorkloadProvider {
  readonly issuer: string;
  private readonly server: Server;
  private readonly port: number;
  /** Tokens that it has given so far, by the client. */
  readonly given: string[] = [];

  private constructor(server: Server) {
    this.server = server;
    this.port = (server.address() as AddressInfo).port;
    this.issuer = `http://127.0.0.1:${this.port}`;
  }

  static async start(clients: readonly ServiceClient[], clock: TestClock): Promise<WorkloadProvider> {
    const server = createServer();
    await listen(server, await freePort());
    const started = new WorkloadProvider(server);
    const { privateKey } = await generateKeyPair('ES256', { extractable: true });
    const provider = new Provider(started.issuer, {
      clients: clients.map(({ id, secret }) => ({
        client_id: id,
        client_secret: secret,
        token_endpoint_auth_method: 'client_secret_post',
        grant_types: ['client_credentials'],
        response_types: [],
        redirect_uris: [],
        id_token_signed_response_alg: 'ES256',
      })),
      jwks: { keys: [{ ...(await exportJWK(privateKey)), kid: 'first', use: 'sig', alg: 'ES256' }] },
      cookies: { keys: ['a key for the cookies of a test'] },
      ttl: { ClientCredentials: TOKEN_SECONDS },
      features: {
        clientCredentials: { enabled: true },
        devInteractions: { enabled: false },
        resourceIndicators: {
          enabled: true,
          getResourceServerInfo: (_context, resource) => ({
            scope: '',
            audience: resource,
            accessTokenFormat: 'jwt',
            accessTokenTTL: TOKEN_SECONDS,
            jwt: { sign: { alg: 'ES256' } },
          }),
        },
      },
      formats: {
        customizers: {
          // It knows the wall clock alone, which goes on while that of a test stands still.
          jwt: (_context, token, jwt) => {
            started.given.push(token.clientId ?? '');
            const { seconds } = clock;
            Object.assign(jwt.payload, { iat: seconds, exp: seconds + TOKEN_SECONDS });
          },
        },
      },
    });
    server.on('request', provider.callback());
    return started;
  }

  /** For the verifier: believe this provider. */
  get attestation(): VerifierConfig['attestation'] {
    return {
      kubernetes: [],
      oidc: [{ issuer: this.issuer, jwksUri: `${this.issuer}/jwks`, algorithms: ['ES256'] }],
      x509pop: [],
      allowLongSvid: false,
    };
  }

  /** What a registration entry asks of this client. */
  selectors(clientId: string): string[] {
    return [`oidc:iss=${this.issuer}`, `oidc:client_id=${clientId}`];
  }

  /** Nobody answers any more, until {@link resume}. */
  async stop(): Promise<void> {
    if (!this.server.listening) return;
    this.server.closeAllConnections();
    await new Promise((resolve) => {
      this.server.close(resolve);
    });
  }

  resume(): Promise<void> {
    return listen(this.server, this.port);
  }
}

const listen = (server: Server, port: number): Promise<void> =>
  new Promise((resolve) => {
    server.listen(port, '127.0.0.1', resolve);
  });
