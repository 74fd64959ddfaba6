/** A token that is got for one of ours (RFC 8693): asked for once for all who wait, and kept until shortly before its end. */
import { readFileSync } from 'node:fs';
import type { ExchangeConfig } from '../../config/egress-schema.ts';
import { grant, type Verdict } from '../../core/verdict.ts';
import type { Clock } from '../../ports.ts';
import {
  type Credential,
  type CredentialSource,
  credentialOf,
  isSecret,
  noCredential,
  type SourceOptions,
} from './credential.ts';
import { type TokenFetch, tokenFetch } from './token-fetch.ts';

/** What is exchanged: the content of a file, or a word of the agent key for this endpoint. */
export type SubjectToken = (endpoint: string) => string;

export interface ExchangeOptions extends SourceOptions {
  readonly exchange: ExchangeConfig;
  readonly clock: Clock;
  readonly subjectToken: SubjectToken;
}

const GRANT = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
/** Where the answer doesn't say (RFC 6749 §5.1). */
const DEFAULT_LIFE_SECONDS = 60;
const MOST_LIFE_SECONDS = 3600;
const SPARE_SECONDS = 30;
const TIMEOUT_SECONDS = 5;
/** After a failure nobody asks again for so long. */
const PAUSE_MS = 1000;

interface Kept {
  readonly credential: Credential;
  /** Milliseconds, monotonic: when it was got, and until when it is good. */
  readonly since: number;
  readonly until: number;
}

export class ExchangedCredential implements CredentialSource {
  private readonly options: ExchangeOptions;
  private readonly fetch: TokenFetch;
  private kept: Kept | undefined;
  private asking: Promise<Verdict<Credential>> | undefined;
  private pausedUntil = Number.NEGATIVE_INFINITY;
  private fault = '';

  /** Throws on a CA file that can't be read. */
  constructor(options: ExchangeOptions) {
    this.options = options;
    const { tokenEndpoint, caFile } = options.exchange;
    this.fetch = tokenFetch(tokenEndpoint, caFile === undefined ? undefined : options.fileAt(caFile));
  }

  get(): Promise<Verdict<Credential>> {
    const { clock, destination } = this.options;
    const now = clock.monotonic();
    if (this.kept !== undefined && now < this.kept.until) return Promise.resolve(grant(this.kept.credential));
    if (this.asking === undefined && now < this.pausedUntil)
      return Promise.resolve(noCredential(destination));
    this.asking ??= this.ask().finally(() => {
      this.asking = undefined;
    });
    return this.asking;
  }

  refused(credential: Credential): void {
    const now = this.options.clock.monotonic();
    // One that was got since is not the one that was refused; and a destination that refuses all, or one task that asks for what is
    // refused, must neither keep the endpoint busy nor take the token from the others.
    if (this.kept?.credential === credential && now >= this.kept.since + PAUSE_MS) this.kept = undefined;
  }

  close(): void {
    this.fetch.close();
  }

  private async ask(): Promise<Verdict<Credential>> {
    const { clock, config, destination, log, exchange } = this.options;
    try {
      const { token, lifeSeconds } = await this.exchange();
      const credential = credentialOf(config, token);
      const keptSeconds = Math.max(lifeSeconds - SPARE_SECONDS, lifeSeconds / 2);
      const since = clock.monotonic();
      this.kept = { credential, since, until: since + keptSeconds * 1000 };
      this.fault = '';
      return grant(credential);
    } catch (error) {
      this.pausedUntil = clock.monotonic() + PAUSE_MS;
      const fault = whyNone(error);
      if (fault !== this.fault)
        log.warn(
          { destination, tokenEndpoint: exchange.tokenEndpoint, fault },
          'a token could not be exchanged',
        );
      this.fault = fault;
      return noCredential(destination);
    }
  }

  private async exchange(): Promise<{ readonly token: string; readonly lifeSeconds: number }> {
    const { exchange, fileAt, subjectToken } = this.options;
    const { tokenEndpoint, clientId, clientSecretFile, audience, resource, scope } = exchange;
    const secret =
      clientSecretFile === undefined ? undefined : readFileSync(fileAt(clientSecretFile), 'utf8').trim();
    // Only who uses it pays for it.
    const oauth = await import('openid-client');
    const issuer = new URL(tokenEndpoint).origin;
    const client = new oauth.Configuration({ issuer, token_endpoint: tokenEndpoint }, clientId, secret);
    client[oauth.customFetch] = this.fetch.fetch;
    client.timeout = TIMEOUT_SECONDS;
    // The form of the URL has it: on this machine alone.
    if (tokenEndpoint.startsWith('http:')) oauth.allowInsecureRequests(client);
    const answer = await oauth.genericGrantRequest(client, GRANT, {
      subject_token: subjectToken(tokenEndpoint),
      subject_token_type: exchange.subjectTokenType,
      requested_token_type: ACCESS_TOKEN,
      ...(audience === undefined ? {} : { audience }),
      ...(resource === undefined ? {} : { resource }),
      ...(scope === undefined ? {} : { scope }),
    });
    const { access_token: token, token_type: type, expires_in: given = DEFAULT_LIFE_SECONDS } = answer;
    if (type.toLowerCase() === 'dpop') throw new Unusable('a token that wants a proof of its own');
    if (!isSecret(token)) throw new Unusable('a token that fits into no header');
    if (!(given > 0)) throw new Unusable('a token that has ended');
    return { token, lifeSeconds: Math.min(given, MOST_LIFE_SECONDS) };
  }
}

class Unusable extends Error {}

/** What the endpoint answers is a stranger's text: of it only what has the form of a code (RFC 6749 §5.2). */
const whyNone = (thrown: unknown): string => {
  if (thrown instanceof Unusable) return `it gives ${thrown.message}`;
  const { error, cause, code, name } = thrown as {
    error?: unknown;
    cause?: { code?: unknown };
    code?: unknown;
    name?: string;
  };
  for (const word of [error, cause?.code, code])
    if (typeof word === 'string' && /^[A-Za-z_]{1,64}$/.test(word)) return word;
  return name ?? 'no reason is known';
};

/** The content of a file, read each time. */
export const subjectFile =
  (file: string): SubjectToken =>
  () => {
    const token = readFileSync(file, 'utf8').trim();
    if (!isSecret(token)) throw new Unusable('no subject token: its file holds none');
    return token;
  };
