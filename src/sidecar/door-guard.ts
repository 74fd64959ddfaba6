/** What keeps one caller from taking the whole door in: rates, shares of what there is, and an agent that is left alone when it is not there. */
import type { SidecarConfig } from '../config/sidecar-schema.ts';
import { type Denial, deny } from '../core/verdict.ts';
import type { Logger } from '../edge/telemetry/log.ts';
import type { Clock } from '../ports.ts';
import { AgentBreaker } from './agent-breaker.ts';
import { answers } from './agent-port.ts';
import { DoorRates } from './door-rates.ts';
import { mayTake } from './fair-share.ts';

type Limits = SidecarConfig['limits'];

/** What one agent has under way here, on all its connections. */
export interface UnderWay {
  requests: number;
  /** Octets of bodies in memory, because policy reads them before it decides. */
  heldBytes: number;
}

/** Places are soon free again. */
const BUSY_SECONDS = 1;

export class DoorGuard {
  readonly rates: DoorRates;
  readonly agent: AgentBreaker;
  private readonly limits: () => Limits;
  private readonly all: UnderWay = { requests: 0, heldBytes: 0 };

  constructor(limits: () => Limits, rates: DoorRates, agent: AgentBreaker) {
    this.limits = limits;
    this.rates = rates;
    this.agent = agent;
  }

  /** Octets of bodies in memory, of all callers. */
  get heldBytes(): number {
    return this.all.heldBytes;
  }

  /** How many requests are under way, of all callers. */
  get requests(): number {
    return this.all.requests;
  }

  /**
   * Takes note of a request until {@link leave}, whatever becomes of it; it may be one too many. Refuses with `caller_rate`,
   * `caller_busy`, `sidecar_busy`, `upstream_unavailable`.
   */
  enter(caller: string, mine: UnderWay): Denial | undefined {
    const { requests, requestsPerCaller } = this.limits();
    const place = mayTake({ total: requests, ofOne: requestsPerCaller }, mine.requests, this.all.requests);
    mine.requests++;
    this.all.requests++;
    return (
      this.rates.request(caller) ??
      busy(place, `${caller} has ${requestsPerCaller} requests under way`, 'requests under way') ??
      this.agent.fault(caller)
    );
  }

  leave(mine: UnderWay): void {
    mine.requests--;
    this.all.requests--;
  }

  /** Whether a further connection of an agent that has so many gets a place, when there are so many in all. */
  connection(has: number, open: number): boolean {
    const { connections, connectionsPerCaller } = this.limits();
    // The one that asks is among them.
    return mayTake({ total: connections, ofOne: connectionsPerCaller }, has, open - 1) === 'yes';
  }

  /** What of a caller's bodies may be in memory. */
  bodies(caller: string, mine: UnderWay): BodyBudget {
    return {
      take: (octets, isAnnounced) => {
        const { heldBytes, heldBytesInTotal } = this.limits();
        const place = mayTake(
          { total: heldBytesInTotal, ofOne: heldBytes },
          mine.heldBytes,
          this.all.heldBytes,
          octets,
        );
        const denial =
          busy(place, tooManyBodies(heldBytes), 'bodies in memory') ??
          this.rates.read(caller, isAnnounced ? octets : 0);
        if (denial !== undefined) return denial;
        mine.heldBytes += octets;
        this.all.heldBytes += octets;
        return undefined;
      },
      giveBack: (octets) => {
        mine.heldBytes -= octets;
        this.all.heldBytes -= octets;
      },
      haveRead: (octets) => this.rates.haveRead(caller, octets),
    };
  }
}

/** What one agent may have in memory here. */
export interface BodyBudget {
  /** So many as may come, as announced or at most. Refuses with `caller_busy`, `sidecar_busy`, `body_rate`. */
  take(octets: number, isAnnounced: boolean): Denial | undefined;
  /** They are in memory no more. */
  giveBack(octets: number): void;
  /** So many came, of what was not announced. */
  haveRead(octets: number): void;
}

/** For an agent that shares with nobody: the local one. */
export const budgetOf = (mostBytes: number): BodyBudget => {
  let heldBytes = 0;
  return {
    take: (octets) => {
      if (heldBytes + octets > mostBytes) return busy('own', tooManyBodies(mostBytes), '');
      heldBytes += octets;
      return undefined;
    },
    giveBack: (octets) => {
      heldBytes -= octets;
    },
    haveRead: () => undefined,
  };
};

const tooManyBodies = (mostBytes: number): string =>
  `more than ${mostBytes} octets of bodies wait to be decided on`;

/** The guard of a running sidecar. */
export const guardDoor = (config: () => SidecarConfig, clock: Clock, log: Logger): DoorGuard => {
  const limits = (): Limits => config().limits;
  const agent = new AgentBreaker({
    limits: {
      get failures() {
        return limits().agentFailures;
      },
      get coolDownMs() {
        return limits().agentCoolDown * 1000;
      },
    },
    clock,
    log,
    probe: async () => {
      const address = config().inbound?.agent;
      return address === undefined || (await answers(address));
    },
    later: (milliseconds, then) => void setTimeout(then, milliseconds).unref(),
  });
  return new DoorGuard(limits, new DoorRates(limits, clock), agent);
};

const busy = (place: ReturnType<typeof mayTake>, own: string, all: string): Denial | undefined => {
  if (place === 'yes') return undefined;
  const denial =
    place === 'own'
      ? deny('caller_busy', own)
      : deny('sidecar_busy', `there are too many ${all} for a caller that has some`);
  return { ...denial, retryAfterSeconds: BUSY_SECONDS };
};
