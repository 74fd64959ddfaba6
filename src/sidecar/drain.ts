/**
 * How a sidecar ends. It is not ready from the first moment; for a while it takes what still comes, until load balancers have
 * noticed; then it takes no new connection, and what is under way ends by itself, the agent's own requests included. Streams,
 * which never would, are asked to end before the deadline; what is left at the deadline is cut.
 */
import type { SidecarConfig } from '../config/sidecar-schema.ts';
import type { Logger } from '../edge/telemetry/log.ts';
import type { LiveHops } from '../hop/forward.ts';
import type { Clock } from '../ports.ts';

/** What is closed on the way. */
export interface DrainDoors {
  /** Whether anybody is connected who would have to notice. */
  hasPeers(): boolean;
  /** No new connections; those that are there end with the response to their next request. */
  stopListening(): void;
  /** Ends connections on which nothing is under way. */
  closeIdle(): void;
}

export interface DrainOptions {
  readonly live: LiveHops;
  readonly doors: DrainDoors;
  readonly limits: () => SidecarConfig['limits'];
  readonly clock: Clock;
  readonly log: Logger;
}

const LOOK_MS = 25;
/** After this time without a request nobody is taken to be in the middle of sending one. */
const QUIET_MS = 500;
/** What streams have to end in: to finish an event, to say goodbye. */
const LAST_CALL_MS = 2000;
/** Of a short deadline, at most this. */
const LAST_CALL_SHARE = 0.25;

export class Drain {
  private readonly options: DrainOptions;
  private asked = false;
  private closing = false;
  private hurried = false;

  constructor(options: DrainOptions) {
    this.options = options;
  }

  /** From here on it is not ready. */
  get isAsked(): boolean {
    return this.asked;
  }

  /** From here on it takes no new connection. */
  get isClosing(): boolean {
    return this.closing;
  }

  /** Whoever asks knows that nobody comes any more: no time is left for others to notice. */
  hurry(): void {
    this.hurried = true;
  }

  /** Resolves when nothing is under way, or at the deadline. */
  async run(reason: string): Promise<void> {
    const { live, doors, clock, log } = this.options;
    const { drainTimeout, drainNotice } = this.options.limits();
    const start = clock.monotonic();
    const mostMs = drainTimeout * 1000;
    const noticeMs = Math.min(drainNotice, mostMs / 2);
    this.asked = true;
    log.info({ reason, live: live.size }, 'draining');
    await this.until(start + noticeMs, () => this.hurried || !doors.hasPeers());
    this.closing = true;
    doors.stopListening();
    log.info({ live: live.size }, 'no new connections');
    const deadline = start + mostMs;
    const lastCall = deadline - Math.min(LAST_CALL_MS, mostMs * LAST_CALL_SHARE);
    if (await this.until(lastCall, () => this.isOver())) return;
    if (live.size > 0) log.info({ live: live.size }, 'streams that are still open are ended');
    live.cutAll('draining');
    await this.until(deadline, () => live.size === 0);
  }

  /** Whether it was so before that time. */
  private async until(time: number, isSo: () => boolean): Promise<boolean> {
    const { clock } = this.options;
    while (!isSo()) {
      if (clock.monotonic() >= time) return false;
      await new Promise((next) => setTimeout(next, LOOK_MS));
    }
    return true;
  }

  /** Nothing is under way, and nothing came for a moment: the next request may be on the wire, and closing would lose it. */
  private isOver(): boolean {
    const { live, doors, clock } = this.options;
    if (live.size > 0 || clock.monotonic() - live.endedAt < QUIET_MS) return false;
    doors.closeIdle();
    return true;
  }
}
