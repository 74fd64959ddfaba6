/** What every attack on a running sidecar must end in: a reason code, an agent that saw nothing, and a record. */
import { expect } from 'vitest';
import { REASONS, type ReasonCode } from '../../src/core/reasons.ts';
import type { TestAgent } from './domain.ts';
import type { MeshAgent } from './mesh.ts';
import {
  connectPeer,
  openSession,
  type RawPeer,
  type RawRequest,
  type RawResponse,
  requestText,
  type Tampering,
} from './raw-peer.ts';

/** The records of one hop, in order. */
export const recordsOf = (target: MeshAgent, hop: string): Record<string, unknown>[] =>
  target.log().filter((record) => record.hop === hop);

/** A response is a refusal for this reason, as far as the peer may see it. */
export const expectProblem = (answer: RawResponse, reason: ReasonCode): void => {
  const code = REASONS[reason].peer ? reason : 'denied';
  expect({ code: answer.code, status: answer.status }).toEqual({ code, status: REASONS[code].status });
};

/** A request on an open session is refused, unseen by the agent, and on record under the hop that the peer counts too. */
export const expectDeniedOn = async (
  target: MeshAgent,
  peer: RawPeer,
  request: RawRequest | string,
  reason: ReasonCode,
): Promise<RawResponse> => {
  const before = target.seen.length;
  const answer = await peer.ask(typeof request === 'string' ? request : requestText(request));
  expectProblem(answer, reason);
  expect(answer.hop).toBe(peer.hop);
  expect(recordsOf(target, peer.hop)).toMatchObject([
    { kind: 'decision', direction: 'inbound', verdict: 'deny', reason },
  ]);
  expect(target.seen).toHaveLength(before);
  return answer;
};

/** The same on a session of its own. */
export const expectDenied = async (
  target: MeshAgent,
  caller: TestAgent,
  request: RawRequest | string,
  reason: ReasonCode,
): Promise<void> => {
  const peer = await openSession(target, caller);
  try {
    await expectDeniedOn(target, peer, request, reason);
  } finally {
    peer.close();
  }
};

/** A request is allowed: what is refused beside it isn't refused by accident. */
export const expectAllowed = async (
  target: MeshAgent,
  caller: TestAgent,
  request: RawRequest,
): Promise<void> => {
  const peer = await openSession(target, caller);
  const before = target.seen.length;
  const answer = await peer.ask(requestText(request));
  expect(answer.code).toBeUndefined();
  expect(answer.status).toBe(200);
  expect(target.seen).toHaveLength(before + 1);
  peer.close();
};

/** Refusals before authentication: counted here as they are made, held against the `refusals` records in the end. */
export class RefusalCount {
  private readonly expected = new Map<string, number>();
  readonly target: MeshAgent;

  constructor(target: MeshAgent) {
    this.target = target;
  }

  add(reason: ReasonCode, times = 1): void {
    this.expected.set(reason, (this.expected.get(reason) ?? 0) + times);
  }

  /** A handshake is refused with this code, and nothing comes through behind it. */
  async refusesHandshake(agent: TestAgent, tampering: Tampering, reason: ReasonCode): Promise<void> {
    const before = this.target.seen.length;
    const { peer, result } = await connectPeer(this.target, agent, tampering);
    this.add(reason);
    expect(result).toEqual({ status: 'refused', reason });
    await peer.ended();
    peer.close();
    expect(this.target.seen).toHaveLength(before);
    expect(
      this.target.log().filter(({ hop }) => peer.session !== '' && String(hop).startsWith(peer.session)),
    ).toEqual([]);
  }

  /** Stops the sidecar; its records hold exactly what was refused, and the source. */
  expectOnRecord(): void {
    this.target.sidecar.stop('the refusals are counted');
    const counted = new Map<string, number>();
    for (const record of this.target.log()) {
      if (record.kind !== 'refusals') continue;
      for (const { source, reason, count } of record.sources as {
        source: string;
        reason: string;
        count: number;
      }[]) {
        expect(source).toBe('127.0.0.1');
        counted.set(reason, (counted.get(reason) ?? 0) + count);
      }
    }
    expect(Object.fromEntries(counted)).toEqual(Object.fromEntries(this.expected));
  }
}
