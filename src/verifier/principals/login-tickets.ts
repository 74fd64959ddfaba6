/**
 * Logins that have begun. Nothing is remembered of one until it ends: its name carries what it is about and our own MAC, and the
 * nonce follows from its name, so that whoever begins a million logins fills nothing here.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { LoginFlow } from '../../api/logins.ts';
import { decodeBase64url, encodeBase64url } from '../../core/encoding/base64url.ts';
import type { Clock } from '../../ports.ts';
import { Refusal } from '../refusal.ts';

export const LOGIN_SECONDS = 600;
const MAX_USED = 65_536;
const FLOWS = ['pkce', 'device'] as const satisfies readonly LoginFlow[];
const RANDOM_BYTES = 16;
const TIME_BYTES = 6;
const ISSUER_BYTES = 16;
const BODY_BYTES = RANDOM_BYTES + TIME_BYTES + 1 + ISSUER_BYTES;

export interface Ticket {
  readonly flow: LoginFlow;
  /** Seconds. */
  readonly startedAt: number;
  /** What the ID token must repeat. */
  readonly nonce: string;
}

const issuerDigest = (issuer: string): Buffer =>
  createHash('sha256').update(issuer).digest().subarray(0, ISSUER_BYTES);

export class LoginTickets {
  private readonly clock: Clock;
  // Lost at a restart, and with it every login that had not ended.
  private readonly secret = randomBytes(32);
  /** Name to its end, in the order of use. */
  private readonly used = new Map<string, number>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  make(
    issuer: string,
    flow: LoginFlow,
  ): { readonly login: string; readonly nonce: string; readonly expires: number } {
    const now = this.now();
    const body = Buffer.alloc(BODY_BYTES);
    randomBytes(RANDOM_BYTES).copy(body);
    body.writeUIntBE(now, RANDOM_BYTES, TIME_BYTES);
    body.writeUInt8(FLOWS.indexOf(flow), RANDOM_BYTES + TIME_BYTES);
    issuerDigest(issuer).copy(body, BODY_BYTES - ISSUER_BYTES);
    return {
      login: encodeBase64url(Buffer.concat([body, this.mac('login', body)])),
      nonce: this.nonceOf(body),
      expires: now + LOGIN_SECONDS,
    };
  }

  /** Reads a login that has begun and not ended. Throws `login_refused`. */
  read(login: string): Ticket & { readonly isOf: (issuer: string) => boolean } {
    const octets = decodeBase64url(login);
    const body = octets?.subarray(0, BODY_BYTES);
    if (
      octets?.length !== BODY_BYTES + 32 ||
      body === undefined ||
      !timingSafeEqual(octets.subarray(BODY_BYTES), this.mac('login', body))
    )
      throw new Refusal('login_refused', 'no login of this verifier’s, or it has restarted; begin again');
    const startedAt = body.readUIntBE(RANDOM_BYTES, TIME_BYTES);
    if (startedAt + LOGIN_SECONDS <= this.now())
      throw new Refusal('login_refused', `the login began more than ${LOGIN_SECONDS} s ago; begin again`);
    if (this.used.has(login)) throw new Refusal('login_refused', 'the login has ended already; begin again');
    return {
      flow: FLOWS[body.readUInt8(RANDOM_BYTES + TIME_BYTES)] ?? 'pkce',
      startedAt,
      nonce: this.nonceOf(body),
      isOf: (issuer) => issuerDigest(issuer).equals(body.subarray(BODY_BYTES - ISSUER_BYTES)),
    };
  }

  /** Ends it: no token can be brought to it again. Throws `login_refused`, `api_busy`. */
  use(login: string): void {
    if (this.used.has(login)) throw new Refusal('login_refused', 'the login has ended already; begin again');
    const now = this.now();
    for (const [name, until] of this.used) {
      if (until > now) break;
      this.used.delete(name);
    }
    // Forgetting one that could be used again is worse than asking someone to wait.
    if (this.used.size >= MAX_USED)
      throw new Refusal('api_busy', `more than ${MAX_USED} logins in ${LOGIN_SECONDS} s`);
    this.used.set(login, now + LOGIN_SECONDS);
  }

  private now(): number {
    return Math.floor(this.clock.now() / 1000);
  }

  private nonceOf(body: Buffer): string {
    return encodeBase64url(this.mac('nonce', body));
  }

  private mac(use: string, body: Buffer): Buffer {
    return createHmac('sha256', this.secret).update(`${use}\0`).update(body).digest();
  }
}
