/**
 * An OpenID provider's keys: found by discovery (OpenID Connect Discovery §4), kept, and fetched anew when they are old or
 * when a token names one that is not among them, which is rate limited: anyone can name a key.
 */
import {
  type CryptoKey,
  createLocalJWKSet,
  errors,
  type FlattenedJWSInput,
  type JSONWebKeySet,
  type JWSHeaderParameters,
} from 'jose';
import type { Clock } from '../../ports.ts';

const FRESH_MS = 10 * 60_000;
/** While a provider is down its known keys go on for so long. */
const KEPT_MS = 24 * 3_600_000;
const COOLDOWN_MS = 30_000;
const ANSWER_TIMEOUT_MS = 5000;
const MAX_ANSWER_BYTES = 256 * 1024;

/** The provider can't be asked, or answers something else than it should. Nothing secret in the message. */
export class ProviderUnavailable extends Error {}

type KeySet = ReturnType<typeof createLocalJWKSet>;

/** Reads a small JSON object. Follows no redirect: what is asked is what the issuer's own document names. */
const fetchObject = async (url: string): Promise<Readonly<Record<string, unknown>>> => {
  let text = '';
  try {
    const response = await fetch(url, {
      redirect: 'error',
      headers: { accept: 'application/json' },
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
    if (response.status !== 200 || response.body === null)
      throw new ProviderUnavailable(`${url} answers ${response.status}`);
    let octets = 0;
    const decoder = new TextDecoder('utf-8', { fatal: true });
    for await (const chunk of response.body) {
      octets += chunk.length;
      if (octets > MAX_ANSWER_BYTES) throw new ProviderUnavailable(`${url} answers too much`);
      text += decoder.decode(chunk, { stream: true });
    }
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Readonly<Record<string, unknown>>;
  } catch (error) {
    if (error instanceof ProviderUnavailable) throw error;
    throw new ProviderUnavailable(`${url} can't be read`);
  }
  throw new ProviderUnavailable(`${url} is no JSON object`);
};

/** Where an issuer's discovery document is. */
const discoveryUrl = (issuer: string): string =>
  `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;

export class IdentityProvider {
  readonly issuer: string;
  private readonly clock: Clock;
  private readonly plainHttp: boolean;
  private known: { readonly keys: KeySet; readonly at: number } | undefined;
  private triedAt = Number.NEGATIVE_INFINITY;
  private fault: ProviderUnavailable | undefined;
  private loading: Promise<void> | undefined;

  constructor(issuer: string, clock: Clock) {
    this.issuer = issuer;
    this.clock = clock;
    this.plainHttp = issuer.startsWith('http:');
  }

  /**
   * The key for a token's header. Throws {@link ProviderUnavailable}, and jose's `JWKSNoMatchingKey` or `JWKSMultipleMatchingKeys`.
   */
  readonly keyFor = async (header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey> => {
    const known = await this.current();
    try {
      return await known(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || !this.mayAsk()) throw error;
    }
    await this.load();
    return (await this.current())(header, token);
  };

  private async current(): Promise<KeySet> {
    const stale = this.known === undefined || this.clock.monotonic() - this.known.at > FRESH_MS;
    if (stale && (this.mayAsk() || this.loading !== undefined)) await this.load();
    if (this.known !== undefined && this.clock.monotonic() - this.known.at <= KEPT_MS) return this.known.keys;
    throw this.fault ?? new ProviderUnavailable(`${this.issuer} has not been reached`);
  }

  private mayAsk(): boolean {
    return this.clock.monotonic() - this.triedAt >= COOLDOWN_MS;
  }

  /** One at a time, for all who wait; a failure leaves what is known. */
  private load(): Promise<void> {
    this.loading ??= this.fetchKeys().finally(() => {
      this.loading = undefined;
    });
    return this.loading;
  }

  private async fetchKeys(): Promise<void> {
    this.triedAt = this.clock.monotonic();
    try {
      const found = await fetchObject(discoveryUrl(this.issuer));
      // Whoever serves the document could else speak for any issuer (OpenID Connect Discovery §4.3).
      if (found.issuer !== this.issuer)
        throw new ProviderUnavailable(`${discoveryUrl(this.issuer)} is about another issuer`);
      const { jwks_uri: uri } = found;
      if (
        typeof uri !== 'string' ||
        !(uri.startsWith('https:') || (this.plainHttp && uri.startsWith('http:')))
      )
        throw new ProviderUnavailable(`${discoveryUrl(this.issuer)} names no https jwks_uri`);
      const keys = createLocalJWKSet((await fetchObject(uri)) as unknown as JSONWebKeySet);
      this.known = { keys, at: this.clock.monotonic() };
      this.fault = undefined;
    } catch (error) {
      this.fault =
        error instanceof ProviderUnavailable
          ? error
          : new ProviderUnavailable(`${this.issuer} publishes no key set (RFC 7517 §5)`);
    }
  }
}
