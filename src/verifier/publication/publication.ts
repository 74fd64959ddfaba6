/**
 * What sidecars know: composes the bundle whenever something in it has changed, numbers it, signs it and says so to all who
 * listen, with a timestamp at once and then every minute. A number is on disk before its bundle leaves the house, and is
 * never used again.
 */
import { z } from 'zod';
import type { TrustEvent } from '../../api/trust.ts';
import { mintTimestamp } from '../../core/trust/timestamp.ts';
import { packBundle } from '../../edge/verifier/packed-bundle.ts';
import type { Clock } from '../../ports.ts';
import { SYSTEM } from '../actor.ts';
import type { Authority } from '../authority/authority.ts';
import { Edit, kind, type Recorded, type Records } from '../records.ts';
import { Refusal } from '../refusal.ts';
import { type Composed, compose } from './compose.ts';
import { Horizon } from './horizon.ts';
import { SourceReader, type Sources } from './sources.ts';
import { Subscribers } from './subscribers.ts';

/** The last number given, and to which bundle. */
export const bundleNumber = kind(
  'bundle',
  z.strictObject({ epoch: z.int().min(1), seq: z.int().min(1), digest: z.string() }),
);
const NUMBER = 'number';

/** So small a bundle is pushed whole; a larger one is named, and each sidecar fetches it at its own pace. */
const MAX_PUSHED_CHARACTERS = 65_536;
const TIMESTAMP_EVERY_SECONDS = 60;
/** Near the end of the roles the bundle’s life shrinks; it isn't signed anew more often than this. */
const MIN_RENEWAL_SECONDS = 60;
/** A fault that lasts, such as a full disk, is not told of every second. */
const RETRY_SECONDS = 5;

const NOT_TOLD =
  'it is on record, but the bundle that tells sidecars of it could not be made; see the verifier’s log';

export interface PublicationParts {
  readonly records: Records;
  readonly authority: Authority;
  readonly clock: Clock;
  readonly sources: Sources;
  /** Hears why a bundle did not come about; it is tried again at the next tick. */
  readonly onFault: (error: unknown) => void;
  /** Hears of each bundle, and what it cost. */
  readonly onPublished?: ((facts: PublishedFacts) => void) | undefined;
  /** Seconds. */
  readonly timestampEvery?: number | undefined;
}

export interface PublishedFacts {
  readonly bundle: string;
  /** Octets, gzip. */
  readonly octets: number;
  readonly subscribers: number;
  /** Milliseconds until it was made, signed and verified. */
  readonly composeMs: number;
  /** Milliseconds until it was packed, its number on disk, and pushed. */
  readonly publishMs: number;
}

export interface Published extends Composed {
  readonly packed: string;
}

export class Publication {
  readonly subscribers = new Subscribers();
  private readonly parts: PublicationParts;
  private readonly reader: SourceReader;
  private readonly horizon = new Horizon();
  private readonly stops: (() => void)[] = [];
  private number: Recorded<z.output<typeof bundleNumber.schema>> | undefined;
  /** Not at first, and not when it is unclear whether a commit happened. */
  private isNumberKnown = false;
  private published: Published | undefined;
  private stamp: { readonly text: string; readonly digest: string; readonly iat: number } | undefined;
  private isWanted = false;
  /** Seconds: what has failed is tried again then. */
  private quietUntil = 0;
  private running: Promise<void> | undefined;
  private closed = false;

  constructor(parts: PublicationParts) {
    this.parts = parts;
    this.reader = new SourceReader(parts.sources);
  }

  /** Publishes the first bundle. Throws what keeps it from coming about. */
  async open(): Promise<void> {
    const { records, authority } = this.parts;
    this.stops.push(
      records.store.watch((revision, keys) => {
        this.horizon.heard(revision);
        if (this.reader.heard(keys)) this.want();
        else if (this.running === undefined && !this.isWanted) this.horizon.reached(revision);
      }),
      authority.onChange(() => {
        // Sources ask the authority too, and a commit is heard of before it has taken effect there.
        this.reader.forget();
        this.want();
      }),
    );
    let fault: { readonly error: unknown } | undefined;
    this.running = this.build()
      .catch((error: unknown) => {
        fault = { error };
      })
      .finally(() => {
        this.running = undefined;
      });
    await this.running;
    if (fault !== undefined) throw (fault as { readonly error: unknown }).error;
    if (this.isWanted) this.want();
    await this.settled();
  }

  /** The newest bundle. */
  get current(): Published {
    if (this.published === undefined)
      throw new Refusal('api_unavailable', 'no bundle has been published yet');
    return this.published;
  }

  /** A timestamp over the newest bundle, if there is one. */
  get timestampOrNone(): string | undefined {
    return this.stamp?.digest === this.published?.digest ? this.stamp?.text : undefined;
  }

  /** When the last timestamp was made, in seconds; undefined before the first. */
  get timestampAt(): number | undefined {
    return this.stamp?.iat;
  }

  /** A timestamp over the newest bundle. Throws `Refusal` `api_unavailable` when there is none. */
  get timestamp(): string {
    const text = this.timestampOrNone;
    if (text === undefined)
      throw new Refusal('api_unavailable', 'there is no timestamp over the newest bundle');
    return text;
  }

  /** Resolves when all that was committed up to this revision is in a published bundle. Throws `Refusal` `api_unavailable`. */
  whenPublished(revision: number): Promise<void> {
    return this.horizon.when(revision);
  }

  /** Resolves when the roles in force are those of the newest bundle. Throws `Refusal` `api_unavailable` when they don't get there. */
  async whenRolesPublished(): Promise<void> {
    await this.settled();
    if (this.published?.epoch !== this.parts.authority.epoch) throw new Refusal('api_unavailable', NOT_TOLD);
  }

  /** Resolves when nothing is being built. */
  async settled(): Promise<void> {
    while (this.running !== undefined) await this.running;
  }

  /** Does what the time has made due: called every second or so. */
  tick(): void {
    const { timestampEvery = TIMESTAMP_EVERY_SECONDS } = this.parts;
    const { now, published, stamp } = this;
    if (published === undefined || now < this.quietUntil) return;
    const half = Math.floor((published.exp - published.iat) / 2);
    if (now >= published.iat + Math.max(half, MIN_RENEWAL_SECONDS)) {
      // Time alone ends revocations and lets scores return to the baseline.
      this.reader.forget();
      this.want();
    } else if (this.isWanted) this.want();
    if (stamp?.digest === published.digest && now < stamp.iat + timestampEvery) return;
    if (this.makeTimestamp(published))
      this.subscribers.say({ event: 'timestamp', timestamp: this.timestamp });
  }

  /** Nothing is published any more. */
  async close(): Promise<void> {
    this.closed = true;
    for (const stop of this.stops) stop();
    this.subscribers.close();
    await this.settled();
    this.horizon.abandon(new Refusal('api_unavailable', 'the verifier is shutting down'));
  }

  private get now(): number {
    return Math.floor(this.parts.clock.now() / 1000);
  }

  private fault(error: unknown): void {
    this.quietUntil = this.now + RETRY_SECONDS;
    this.parts.onFault(error);
  }

  private want(): void {
    this.isWanted = true;
    if (this.running !== undefined || this.closed) return;
    // In a turn of its own: a burst of commits makes one bundle.
    this.running = new Promise<void>((resolve) => setImmediate(resolve))
      .then(() => this.run())
      .finally(() => {
        this.running = undefined;
      });
  }

  private async run(): Promise<void> {
    try {
      while (this.isWanted && !this.closed) await this.build();
    } catch (error) {
      this.isWanted = true;
      this.fault(error);
      this.horizon.abandon(new Refusal('api_unavailable', NOT_TOLD));
    }
  }

  private async build(): Promise<void> {
    const { records, authority, clock } = this.parts;
    this.isWanted = false;
    const started = clock.monotonic();
    const through = this.horizon.heardOf;
    const { epoch } = authority;
    const content = await this.reader.read(this.now);
    if (!this.isNumberKnown) this.number = await records.get(bundleNumber, NUMBER);
    this.isNumberKnown = false;
    // What was read may rest on roles that are no more.
    if (authority.epoch !== epoch) {
      this.isWanted = true;
      return;
    }
    const last = this.number?.value;
    const seq = last?.epoch === epoch ? last.seq + 1 : 1;
    const iat = this.now;
    const composed = compose(
      { trustDomain: authority.trustDomain, epoch, seq, iat, exp: iat + authority.timing.bundle },
      content,
      { roles: authority.rolesText(), root: authority.rootThumbprint, signer: authority.signer('policy') },
    );
    const composedAt = clock.monotonic();
    const { digest } = composed;
    const value = { epoch, seq, digest };
    const edit = new Edit().set(bundleNumber, NUMBER, value, this.number ?? null);
    const [packed, revision] = await Promise.all([
      packBundle(composed.text),
      records.commit({ event: 'bundle.published', actor: SYSTEM, why: '', data: value }, edit),
    ]);
    this.number = { name: NUMBER, value, revision };
    this.isNumberKnown = true;
    // The root has spoken meanwhile, perhaps of a key that somebody stole: this one stays in the house.
    if (authority.epoch !== epoch) {
      this.isWanted = true;
      return;
    }
    this.published = { ...composed, packed };
    const stamped = this.makeTimestamp(this.published);
    this.subscribers.say(this.announcement(this.published, stamped));
    this.parts.onPublished?.({
      bundle: `${epoch}.${seq}`,
      octets: Buffer.byteLength(packed, 'base64'),
      subscribers: this.subscribers.size,
      composeMs: Math.round(composedAt - started),
      publishMs: Math.round(clock.monotonic() - started),
    });
    this.horizon.reached(this.isWanted ? through : this.horizon.heardOf);
  }

  /** The event with which a subscriber begins, or goes on. */
  private announcement({ epoch, seq, digest, packed }: Published, stamped: boolean): TrustEvent {
    return {
      event: 'bundle',
      epoch,
      seq,
      digest,
      ...(packed.length <= MAX_PUSHED_CHARACTERS && { packed }),
      ...(stamped && { timestamp: this.timestamp }),
    };
  }

  /** False when no key may sign it now: freshness then runs out at the sidecars, which is what it is for. */
  private makeTimestamp({ epoch, seq, digest }: Published): boolean {
    const { authority } = this.parts;
    // Its signer must be named by the very roles that stand in that bundle; the next one is on its way.
    if (authority.epoch !== epoch) return false;
    const { now } = this;
    try {
      const signer = authority.signer('timestamp');
      const { trustDomain, timing } = authority;
      const claims = { trustDomain, epoch, seq, digest, iat: now, exp: now + timing.timestamp };
      this.stamp = { text: mintTimestamp(claims, signer.sign, signer.thumbprint), digest, iat: now };
      return true;
    } catch (error) {
      this.fault(error);
      return false;
    }
  }
}
