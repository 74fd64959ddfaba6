/**
 * How a person at a terminal gets an ID token: in a browser with PKCE and a loopback redirect (RFC 8252 §7.3, RFC 7636), or on
 * another device (RFC 8628). The token goes to the verifier and nowhere else.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  allowInsecureRequests,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  type Configuration,
  calculatePKCECodeChallenge,
  discovery,
  initiateDeviceAuthorization,
  None,
  pollDeviceAuthorizationGrant,
  randomPKCECodeVerifier,
  randomState,
} from 'openid-client';

export interface LoginAsked {
  readonly issuer: string;
  /** A public client: it has no secret that a command line could keep. */
  readonly clientId: string;
  /** What is asked for, `openid` among it. */
  readonly scopes: string;
  /** The verifier's. */
  readonly nonce: string;
  readonly signal: AbortSignal;
}

/** The provider refused, or answered something else than it should. Nothing secret in the message. */
export class LoginFailed extends Error {}

const ANSWER = `<!doctype html><meta charset="utf-8"><title>Hopgate</title>
<p>You are logged in. This window can be closed; go on in the terminal.</p>`;

const configure = async ({ issuer, clientId }: LoginAsked): Promise<Configuration> => {
  const url = new URL(issuer);
  // On this machine alone; the verifier doesn't take another issuer without TLS either.
  const execute = url.protocol === 'http:' ? [allowInsecureRequests] : [];
  return discovery(url, clientId, { token_endpoint_auth_method: 'none' }, None(), { execute });
};

/** What the library says, without what the provider said to it beyond its error code. */
const failure = (error: unknown): LoginFailed => {
  if (error instanceof LoginFailed) return error;
  const {
    error: code,
    code: kind,
    message,
  } = error as { error?: unknown; code?: unknown; message?: unknown };
  const why = [code, kind, message].find((one) => typeof one === 'string') ?? 'unknown';
  return new LoginFailed(`the identity provider did not log you in: ${String(why)}`);
};

/** Resolves with the one request that comes to `/callback`. */
const callbackOf = (server: Server, signal: AbortSignal): Promise<URL> =>
  new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(new LoginFailed('the login took too long')), {
      once: true,
    });
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      const url = new URL(request.url ?? '/', 'http://127.0.0.1');
      if (request.method !== 'GET' || url.pathname !== '/callback') {
        response.writeHead(404, { connection: 'close' }).end();
        return;
      }
      response
        .writeHead(200, {
          'content-type': 'text/html; charset=utf-8',
          connection: 'close',
          'cache-control': 'no-store',
        })
        .end(ANSWER);
      resolve(url);
    });
  });

/** `show` gets the address that the person is to open. Throws {@link LoginFailed}. */
export const loginInBrowser = async (asked: LoginAsked, show: (url: string) => void): Promise<string> => {
  const server = createServer();
  try {
    const configuration = await configure(asked);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    const redirect = `http://127.0.0.1:${(server.address() as AddressInfo).port}/callback`;
    const verifier = randomPKCECodeVerifier();
    const state = randomState();
    const came = callbackOf(server, asked.signal);
    show(
      buildAuthorizationUrl(configuration, {
        redirect_uri: redirect,
        scope: asked.scopes,
        state,
        nonce: asked.nonce,
        code_challenge: await calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
      }).href,
    );
    const url = new URL(redirect);
    url.search = (await came).search;
    const tokens = await authorizationCodeGrant(configuration, url, {
      pkceCodeVerifier: verifier,
      expectedState: state,
      expectedNonce: asked.nonce,
      idTokenExpected: true,
    });
    return idTokenIn(tokens);
  } catch (error) {
    throw failure(error);
  } finally {
    server.closeAllConnections();
    server.close();
  }
};

/** `show` gets the code, and the address where it is to be typed in. Throws {@link LoginFailed}. */
export const loginOnDevice = async (
  asked: LoginAsked,
  show: (code: string, url: string, complete: string | undefined) => void,
): Promise<string> => {
  try {
    const configuration = await configure(asked);
    const device = await initiateDeviceAuthorization(configuration, {
      scope: asked.scopes,
      // RFC 8628 knows no nonce; providers that carry it bind the token to this login.
      nonce: asked.nonce,
    });
    show(device.user_code, device.verification_uri, device.verification_uri_complete);
    return idTokenIn(
      await pollDeviceAuthorizationGrant(configuration, device, undefined, { signal: asked.signal }),
    );
  } catch (error) {
    throw failure(error);
  }
};

const idTokenIn = ({ id_token: token }: { readonly id_token?: string | undefined }): string => {
  if (token === undefined)
    throw new LoginFailed('the identity provider gave no ID token: is "openid" asked for?');
  return token;
};
