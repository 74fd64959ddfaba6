/**
 * Nonces for enrolments. None is remembered when it is given: it carries its end and our own MAC, so that asking costs
 * us nothing to keep. It is remembered when it is used, until it has ended.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { decodeBase64url, encodeBase64url } from '../../core/encoding/base64url.ts';
import type { Clock } from '../../ports.ts';
import { Refusal } from '../refusal.ts';

export const CHALLENGE_SECONDS = 60;
const MAX_USED = 65_536;
const RANDOM_BYTES = 16;
const BODY_BYTES = RANDOM_BYTES + 6;
const MAC_BYTES = 32;

export class Challenges {
  private readonly clock: Clock;
  private readonly maxUsed: number;
  // Lost at a restart, and with it every nonce from before: whoever was between two requests asks again.
  private readonly secret = randomBytes(32);
  /** Nonce to its end, in the order of use. */
  private readonly used = new Map<string, number>();

  constructor(clock: Clock, maxUsed = MAX_USED) {
    this.clock = clock;
    this.maxUsed = maxUsed;
  }

  make(): { readonly nonce: string; readonly expires: number } {
    const expires = Math.floor(this.clock.now() / 1000) + CHALLENGE_SECONDS;
    const body = Buffer.alloc(BODY_BYTES);
    randomBytes(RANDOM_BYTES).copy(body);
    body.writeUIntBE(expires, RANDOM_BYTES, 6);
    return { nonce: encodeBase64url(Buffer.concat([body, this.mac(body)])), expires };
  }

  /** Takes a nonce, once. Throws `enrolment_proof`, `api_busy`. */
  take(nonce: string): void {
    const octets = decodeBase64url(nonce);
    if (octets?.length !== BODY_BYTES + MAC_BYTES) throw unknown();
    const body = octets.subarray(0, BODY_BYTES);
    if (!timingSafeEqual(octets.subarray(BODY_BYTES), this.mac(body))) throw unknown();
    const now = Math.floor(this.clock.now() / 1000);
    const expires = body.readUIntBE(RANDOM_BYTES, 6);
    if (expires <= now)
      throw new Refusal(
        'enrolment_proof',
        `the challenge ended at ${expires}, it is ${now}; ask for another`,
      );
    this.forget(now);
    if (this.used.has(nonce)) throw new Refusal('enrolment_proof', 'the challenge was used before');
    // Forgetting one that could be sent again is worse than asking someone to wait.
    if (this.used.size >= this.maxUsed)
      throw new Refusal('api_busy', `more than ${this.maxUsed} enrolments within ${CHALLENGE_SECONDS} s`);
    this.used.set(nonce, now + CHALLENGE_SECONDS);
  }

  private forget(now: number): void {
    for (const [nonce, until] of this.used) {
      if (until > now) return;
      this.used.delete(nonce);
    }
  }

  private mac(body: Buffer): Buffer {
    return createHmac('sha256', this.secret).update(body).digest();
  }
}

const unknown = (): Refusal => new Refusal('enrolment_proof', 'no challenge of this verifier’s; ask for one');
