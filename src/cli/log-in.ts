/** Logging in from a command: which provider, which flow, and a verifier that has proven itself before a token is sent. */
import type { LinkWish } from '../api/logins.ts';
import { loginEndpoints } from '../api/logins.ts';
import { principalEndpoints } from '../api/principals.ts';
import { trustEndpoints } from '../api/trust.ts';
import { isDigest } from '../core/encoding/members.ts';
import { parseRoles } from '../core/trust/roles.ts';
import { privateKeyPem } from '../edge/keys/signing-key.ts';
import { LoginFailed, loginInBrowser, loginOnDevice } from '../edge/oidc/login-flows.ts';
import type { TlsIdentity } from '../edge/tls/settings.ts';
import { VerifierClient } from '../edge/verifier/client.ts';
import { findVerifier } from '../edge/verifier/enrolment.ts';
import { finishLogin, type PersonSession } from '../edge/verifier/login.ts';
import { CommandError } from './command.ts';
import { usageError } from './command-faults.ts';
import { printable, printError } from './terminal.ts';
import { nowSeconds } from './time-words.ts';
import { connectVerifier } from './verifier-connection.ts';

export interface LoginOptions {
  readonly verifier: string | undefined;
  readonly root: string | undefined;
  readonly issuer: string | undefined;
  readonly device: boolean | undefined;
}

export const LOGIN_OPTIONS = {
  issuer: {
    type: 'string',
    requiresArg: true,
    describe: 'Identity provider, where the verifier has several',
  },
  device: {
    type: 'boolean',
    default: false,
    describe: 'Log in on another device: prints a code, needs no browser here',
  },
} as const;

/** As long as the verifier waits. */
const LOGIN_TIMEOUT_MS = 600_000;

export interface LoggedIn {
  readonly session: PersonSession;
  /** Speaks for the session, or over the socket. */
  readonly client: VerifierClient;
}

/** The way to a verifier for who is nobody yet: its socket, or an address whose roles hang on the root that was named. */
const findForLogin = async ({ verifier, root }: LoginOptions) => {
  if (verifier?.startsWith('https://') !== true) {
    const client = connectVerifier({ verifier });
    return { client, again: () => connectVerifier({ verifier }) };
  }
  if (root === undefined || !isDigest(root))
    throw usageError(
      '--verifier https://… needs --root=THUMBPRINT, the root key that the verifier must hang on',
    );
  const stranger = new VerifierClient({ kind: 'unproven', url: verifier });
  let trustDomain: string;
  try {
    const roles = parseRoles((await stranger.call(trustEndpoints.getRoles, {})).roles);
    if (!roles.ok) throw new CommandError(`${verifier}: ${roles.reason}: ${roles.detail}`);
    // Its own word, which the root confirms or not.
    trustDomain = roles.value.roles.trustDomain;
  } finally {
    await stranger.close();
  }
  const { target } = await findVerifier(verifier, { trustDomain, root }, nowSeconds());
  if (target.kind !== 'https') throw new CommandError(`${verifier} is no https address`);
  return {
    client: new VerifierClient(target),
    again: (identity: TlsIdentity) => new VerifierClient({ ...target, identity }),
  };
};

/** Opens a session. The caller closes the client. */
export const logIn = async (options: LoginOptions, wish: LinkWish, renews?: string): Promise<LoggedIn> => {
  const { client, again } = await findForLogin(options);
  try {
    const { roles: text } = await client.call(trustEndpoints.getRoles, {});
    const roles = parseRoles(text);
    if (!roles.ok) throw new CommandError(`the verifier's roles: ${roles.reason}: ${roles.detail}`);
    const issuer = await issuerOf(client, options.issuer);
    const flow = options.device === true ? 'device' : 'pkce';
    const started = await client.call(loginEndpoints.startLogin, { body: { issuer, flow } });
    const asked = { ...started, issuer, signal: AbortSignal.timeout(LOGIN_TIMEOUT_MS) };
    const idToken =
      flow === 'device' ? await loginOnDevice(asked, showCode) : await loginInBrowser(asked, showAddress);
    const session = await finishLogin(client, {
      login: started.login,
      idToken,
      trustDomain: roles.value.roles.trustDomain,
      wish,
      renews,
    });
    return {
      session,
      client: again({ cert: session.answer.svid, key: privateKeyPem(session.svidKey) }),
    };
  } catch (error) {
    if (error instanceof LoginFailed) throw new CommandError(printable(error.message));
    throw error;
  } finally {
    await client.close();
  }
};

const issuerOf = async (client: VerifierClient, wanted: string | undefined): Promise<string> => {
  const { issuers } = await client.call(principalEndpoints.listLoginIssuers, {});
  const names = issuers.map(({ issuer }) => issuer);
  if (wanted !== undefined) {
    if (names.includes(wanted)) return wanted;
    throw new CommandError(
      `the verifier trusts no such identity provider; it has ${names.map(printable).join(', ') || 'none'}`,
    );
  }
  const [only] = names;
  if (only === undefined)
    throw new CommandError(
      'the verifier trusts no identity provider yet: "hopgate principals issuer add" names one',
    );
  if (names.length > 1)
    throw usageError(`which identity provider? --issuer, one of ${names.map(printable).join(', ')}`);
  return only;
};

const showAddress = (url: string): void =>
  printError(`Open this address in a browser of this machine to log in:\n  ${url}`);

const showCode = (code: string, url: string, complete: string | undefined): void =>
  printError(
    `Open ${printable(url)} on any device and type in the code ${printable(code)}${complete === undefined ? '' : `,\nor open ${printable(complete)}`}`,
  );
