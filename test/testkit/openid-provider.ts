/** A real OpenID provider (`oidc-provider`) on this machine, and a person with a browser who logs in at it. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';

export const PUBLIC_CLIENT = 'hopgate-cli';

export interface ProviderPerson {
  readonly sub: string;
  readonly groups: readonly string[];
  readonly email: string;
}

export class OpenIdProvider {
  readonly issuer: string;
  private readonly server: Server;

  private constructor(issuer: string, server: Server) {
    this.issuer = issuer;
    this.server = server;
  }

  static async start(people: readonly ProviderPerson[]): Promise<OpenIdProvider> {
    const server = createServer();
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { privateKey } = await generateKeyPair('ES256', { extractable: true });
    const provider = new Provider(issuer, {
      clients: [
        {
          client_id: PUBLIC_CLIENT,
          application_type: 'native',
          token_endpoint_auth_method: 'none',
          grant_types: ['authorization_code', 'urn:ietf:params:oauth:grant-type:device_code'],
          response_types: ['code'],
          redirect_uris: ['http://127.0.0.1/callback'],
          id_token_signed_response_alg: 'ES256',
        },
      ],
      jwks: { keys: [{ ...(await exportJWK(privateKey)), kid: 'first', use: 'sig', alg: 'ES256' }] },
      cookies: { keys: ['a key for the cookies of a test'] },
      claims: { openid: ['sub', 'groups', 'email'] },
      conformIdTokenClaims: false,
      features: { deviceFlow: { enabled: true }, devInteractions: { enabled: true } },
      findAccount: (_context, id) => {
        const person = people.find(({ sub }) => sub === id);
        return person && { accountId: id, claims: async () => ({ ...person, groups: [...person.groups] }) };
      },
      // Nobody is asked whether the company's own tool may know who they are.
      loadExistingGrant: async (context) => {
        const { client, session } = context.oidc;
        if (client === undefined || session?.accountId === undefined) return undefined;
        const grant = new context.oidc.provider.Grant({
          clientId: client.clientId,
          accountId: session.accountId,
        });
        grant.addOIDCScope('openid');
        await grant.save();
        return grant;
      },
    });
    server.on('request', provider.callback());
    return new OpenIdProvider(issuer, server);
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => {
      this.server.close(resolve);
    });
  }
}

/** Follows redirects, keeps cookies, and fills in whatever form it meets. Returns the last page. */
export const logInWithBrowser = async (url: string, sub: string): Promise<string> => {
  const cookies = new Map<string, string>();
  let [next, body]: [string, URLSearchParams | undefined] = [url, undefined];
  for (let step = 0; step < 20; step++) {
    const response = await fetch(next, {
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(body !== undefined && { method: 'POST', body }),
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === '') cookies.delete(name);
      else cookies.set(name, value);
    }
    const location = response.headers.get('location');
    if (location !== null) {
      await response.body?.cancel();
      [next, body] = [new URL(location, next).href, undefined];
      continue;
    }
    const page = await response.text();
    const action = /<form[^>]*action="([^"]+)"/.exec(page)?.[1];
    if (action === undefined) return page;
    body = new URLSearchParams();
    for (const [, attributes = ''] of page.matchAll(/<input([^>]*)>/g)) {
      const name = /name="([^"]+)"/.exec(attributes)?.[1];
      if (name !== undefined) body.set(name, /value="([^"]*)"/.exec(attributes)?.[1] ?? '');
    }
    if (body.has('login')) body.set('login', sub);
    if (body.has('password')) body.set('password', 'any');
    next = new URL(action.replaceAll('&amp;', '&'), next).href;
  }
  throw new Error('the browser goes round in circles');
};
