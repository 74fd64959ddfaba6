/**
 * What leaves the mesh: a request to an API, or a tunnel. By the same path as any hop, up to the decision on record; behind it is no
 * other sidecar, so that nothing of the mesh goes on, and what is in force when the record is written is looked at once more here.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { EgressEntry } from '../config/egress-schema.ts';
import type { SidecarConfig } from '../config/sidecar-schema.ts';
import { type Destination, splitDestination } from '../core/policy/destination.ts';
import { isEgress } from '../core/policy/routes.ts';
import type { ReasonCode } from '../core/reasons.ts';
import { type Denial, deny, grant, type Verdict } from '../core/verdict.ts';
import { apiHeaders } from '../edge/egress/api-headers.ts';
import { dial } from '../edge/egress/dial.ts';
import { tunnelExchange } from '../edge/egress/tunnel.ts';
import type { Call } from '../edge/http/call.ts';
import { refuseConnect } from '../edge/http/connect-answer.ts';
import { sendProblem } from '../edge/http/problem.ts';
import type { RequestHeaders } from '../edge/http/request-headers.ts';
import type { UpgradeRequest } from '../edge/http/upgrade.ts';
import type { HopReply } from '../hop/path.ts';
import type { Permit } from '../hop/permit.ts';
import { refuseHop, takeHop } from '../hop/pipeline.ts';
import type { Exchange, HopSpan } from '../ports.ts';
import { apiExchange } from './api-exchange.ts';
import type { BodyBudget } from './door-guard.ts';
import { EgressDoors } from './egress-doors.ts';
import { HeldBody } from './held-body.ts';
import type { OpenUploads } from './open-uploads.ts';
import { nowSeconds, type Parts } from './parts.ts';
import type { HeldChain } from './rebinding.ts';

const HOP_BYTES = 16;

/** A request that leaves, whatever it came as. */
interface Leaving {
  readonly destination: Destination;
  readonly method: string;
  readonly target: string;
  readonly headers: readonly string[];
  readonly size: number | undefined;
  readonly upgrade: boolean;
  readonly span: HopSpan | undefined;
}

const rangesOf = ({ route }: Permit): readonly string[] => (isEgress(route) && route.allowPrivate) || [];

export class EgressRequests {
  private readonly parts: Parts;
  private readonly uploads: OpenUploads;
  private readonly bodies: BodyBudget;
  private readonly doors: EgressDoors;
  /** Stands where hops between sidecars have that of their connection. */
  private readonly id = randomBytes(HOP_BYTES).toString('base64url');
  private hops = 0;
  private tunnels = 0;
  private readonly open = new Set<OpenTunnel>();

  constructor(parts: Parts, uploads: OpenUploads, bodies: BodyBudget) {
    this.parts = parts;
    this.uploads = uploads;
    this.bodies = bodies;
    this.doors = new EgressDoors(parts);
  }

  /** A request to an API. */
  take(
    call: Call,
    headers: RequestHeaders,
    { entry, target }: { readonly entry: EgressEntry; readonly target: string },
    upgrade?: UpgradeRequest,
  ): void {
    const door = this.doors.api(entry);
    const destination = entry.destination as Destination;
    const span = this.parts.tracer()?.begin('outbound', call.method, headers.forwarded);
    const leaving: Leaving = {
      destination,
      span,
      method: call.method,
      target,
      headers: apiHeaders(headers.forwarded, destination, door?.header),
      size: headers.hasBody ? headers.contentLength : 0,
      upgrade: headers.upgrade !== undefined,
    };
    const body = new HeldBody({
      call,
      hasBody: headers.hasBody,
      contentLength: headers.contentLength,
      idleMs: this.parts.config.limits.bodyTimeout * 1000,
      budget: this.bodies,
    });
    this.leave(leaving, headers, {
      refuse: (denial) => sendProblem(call, denial, '', true),
      body: (mostBytes = this.parts.config.limits.approvalBodyBytes) => body.read(mostBytes),
      exchange: (permit, hop, held) =>
        door === undefined
          ? refusing(deny('internal', 'no door'), (denial) => sendProblem(call, denial, hop, true))
          : apiExchange({
              parts: this.parts,
              uploads: this.uploads,
              door,
              call,
              headers,
              sent: leaving.headers,
              target,
              upgrade,
              permit,
              hop,
              chain: held.chain,
              body: body.octets,
              allowPrivate: rangesOf(permit),
            }),
    });
  }

  /** A CONNECT to a destination that is reached by a tunnel. */
  connect(
    request: IncomingMessage,
    headers: RequestHeaders,
    socket: Socket,
    head: Buffer,
    entry: EgressEntry,
  ): void {
    const destination = entry.destination as Destination;
    const leaving: Leaving = {
      destination,
      span: this.parts.tracer()?.begin('outbound', 'CONNECT', headers.forwarded),
      method: 'CONNECT',
      target: '/',
      headers: [],
      size: undefined,
      upgrade: false,
    };
    const refuse = (denial: Denial): void => {
      refuseConnect(socket, denial);
    };
    const framed = 'transfer-encoding' in request.headers || 'content-length' in request.headers;
    const { limits } = this.parts.config;
    const early = framed
      ? deny('http_malformed', 'CONNECT has no body')
      : this.tunnels >= limits.tunnels
        ? deny('egress_busy', `${limits.tunnels} tunnels are open`)
        : undefined;
    if (early !== undefined) {
      this.refuse(leaving, early, () => refuse(early));
      return;
    }
    // From here on and not from when it is opened: many that come at once would each find room.
    this.tunnels++;
    let hasPlace = true;
    const leavePlace = (): void => {
      if (hasPlace) this.tunnels--;
      hasPlace = false;
    };
    this.leave(leaving, headers, {
      refuse: (denial) => {
        leavePlace();
        refuse(denial);
      },
      exchange: (permit, hop, held) => this.tunnel(permit, hop, held, { agent: socket, head, leavePlace }),
    });
  }

  /** Another configuration. Throws with a sentence about a file that can't be used. */
  prepare(next: SidecarConfig): ReturnType<EgressDoors['prepare']> {
    return this.doors.prepare(next);
  }

  /** Tunnels to what the configuration names no more end; requests to an API come to their end. */
  follow({ outbound }: SidecarConfig): void {
    const named = (outbound?.egress ?? []).filter(({ mode }) => mode === 'tunnel');
    for (const { destination, cut } of [...this.open])
      if (!named.some((entry) => entry.destination === destination)) cut('egress_host_unknown');
  }

  destroy(): void {
    this.doors.destroy();
  }

  /** Down the path, with what the context has; or not at all. */
  private leave(leaving: Leaving, headers: RequestHeaders, reply: LeavingReply): void {
    const { parts } = this;
    const own = parts.identity();
    const held = this.heldFor(headers);
    if (!held.ok) {
      this.refuse(leaving, held, () => reply.refuse(held));
      return;
    }
    const { destination, method, target, size, upgrade, span } = leaving;
    let hop = '';
    takeHop(
      parts.path,
      {
        direction: 'outbound',
        hop: '',
        caller: own,
        proof: 'session',
        callee: destination,
        calleeHolder: undefined,
        method,
        target,
        headers: leaving.headers,
        size,
        labels: (chain) => parts.labels.of(chain),
        upgrade,
        chainText: held.value.chainText,
        grantText: undefined,
        last: undefined,
        // What permitted it ends it: there is no session with whoever is out there.
        sessionDeadline: Number.POSITIVE_INFINITY,
        fault: undefined,
        span,
      },
      {
        refuse: reply.refuse,
        number: () => {
          this.hops++;
          hop = `${this.id}.${this.hops}`;
          return hop;
        },
        ...(reply.body === undefined ? {} : { body: reply.body }),
        exchange: (permit) => reply.exchange(permit, hop, held.value),
      },
    );
  }

  /** Refuses with `context_*`, `delegate_widened`, `draining`, and what is wrong with the chain by now. */
  private heldFor({ context: handle, delegate }: RequestHeaders): Verdict<HeldChain> {
    const { parts } = this;
    const context = parts.contexts.find(handle);
    if (!context.ok) return context;
    if (delegate !== undefined && delegate.trim() !== 'none')
      return deny('delegate_widened', 'beyond the mesh nothing is delegated');
    if (parts.isDraining() && parts.path.live.size === 0)
      return deny('draining', 'the sidecar is shutting down');
    const held = parts.rebinding.chainUnder(context.value, parts.identity(), nowSeconds(parts));
    return held.ok ? grant(held.value) : held;
  }

  private refuse({ destination, method, target, span }: Leaving, denial: Denial, reply: () => void): void {
    const { parts } = this;
    parts.clockAlarm.hear(denial, destination);
    const facts = {
      direction: 'outbound',
      hop: '',
      caller: parts.identity().id,
      callee: destination,
      method,
      target,
    } as const;
    refuseHop(parts.path, facts, denial, undefined, reply, span);
  }

  private tunnel(
    permit: Permit,
    hop: string,
    { chain }: HeldChain,
    { agent, head, leavePlace }: TunnelPlace,
  ): Exchange {
    const { parts } = this;
    const { limits } = parts.config;
    const { route, input } = permit;
    const destination = input.callee as Destination;
    const isOpaque = isEgress(route) && route.inside === 'any';
    const returned = route.labels?.response ?? [];
    const exchange = tunnelExchange({
      agent,
      head,
      hop,
      dial: (signal) =>
        dial(destination, {
          network: parts.network,
          allowPrivate: rangesOf(permit),
          timeoutMs: limits.connectTimeout * 1000,
          signal,
        }),
      serverName: isOpaque ? undefined : splitDestination(destination).host,
      idleMs: limits.tunnelIdle * 1000,
      helloMs: limits.headersTimeout * 1000,
      onOpen: () => {
        // Nobody sees when an answer comes: from its beginning the task may have read what is there.
        parts.labels.add(chain, [...permit.labels, ...returned]);
        if (returned.length > 0) this.uploads.labelled(permit);
      },
    });
    return {
      start: (done) => {
        let isOver = false;
        let leave: (() => void) | undefined;
        let open: OpenTunnel | undefined;
        const cut = exchange.start((result) => {
          isOver = true;
          leavePlace();
          if (open !== undefined) this.open.delete(open);
          leave?.();
          done(returned.length === 0 ? result : { ...result, labels: returned });
        });
        // What its task reads elsewhere may go out through it.
        if (!isOver) {
          leave = this.uploads.add(permit, cut);
          open = { destination, cut };
          this.open.add(open);
        }
        return cut;
      },
    };
  }
}

interface OpenTunnel {
  readonly destination: Destination;
  readonly cut: (reason: ReasonCode) => void;
}

/** A CONNECT among those that are open or being decided on. */
interface TunnelPlace {
  readonly agent: Socket;
  readonly head: Buffer;
  /** More than once is once. */
  readonly leavePlace: () => void;
}

/** As {@link HopReply}, for a hop that has no other sidecar. */
interface LeavingReply {
  readonly refuse: HopReply['refuse'];
  readonly body?: HopReply['body'];
  readonly exchange: (permit: Permit, hop: string, held: HeldChain) => Exchange;
}

const refusing = (denial: Denial, refuse: (denial: Denial) => void): Exchange => ({
  start: (done) => {
    refuse(denial);
    done({ status: 0, result: denial.reason, received: 0, sent: 0 });
    return () => undefined;
  },
});
