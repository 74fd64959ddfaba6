/** The verifier's room for approvals over a store in memory, asked by sidecars in this process, and people who decide there. */
import { randomBytes } from 'node:crypto';
import type { Approval } from '../../src/api/approvals.ts';
import { mintRequestApproval, type RequestApproval } from '../../src/core/approval/request-approval.ts';
import type { ScopePattern } from '../../src/core/delegation/scope.ts';
import { deny, grant } from '../../src/core/verdict.ts';
import type { SigningKey } from '../../src/edge/keys/signing-key.ts';
import type { ApprovalPort, Clock } from '../../src/ports.ts';
import type { Actor } from '../../src/verifier/actor.ts';
import { Approvals } from '../../src/verifier/approvals/approvals.ts';
import { nameOf, PRINCIPAL, PRINCIPAL_KEY } from '../../src/verifier/principals/kinds.ts';
import { Edit, Records } from '../../src/verifier/records.ts';
import { Refusal } from '../../src/verifier/refusal.ts';
import type { TestAgent, TestPrincipal } from './domain.ts';
import { MemoryStore } from './memory-store.ts';

export const makeJti = (): string => randomBytes(16).toString('base64url');

export const actorOf = (agent: Pick<TestAgent, 'id'>): Actor => ({
  kind: 'agent',
  name: agent.id,
  roles: new Set(['agent']),
  id: agent.id,
  principal: undefined,
});

export const DESK: Actor = {
  kind: 'local',
  name: 'local:desk',
  roles: new Set(['admin', 'operator', 'approver']),
  id: undefined,
  principal: undefined,
};

/** What a request's approval says, as an approver would sign it. */
export const claimsFor = (
  { wish }: Approval,
  approver: string,
  now: number,
  changes: Partial<RequestApproval> = {},
): RequestApproval => {
  if (wish.kind !== 'request') throw new TypeError('this approval is of a link');
  const { principal, caller, callee, chain, method, target, body } = wish;
  return {
    ...{ approver, principal, caller, callee, chain, method, target, body },
    iat: now,
    exp: now + 600,
    jti: makeJti(),
    ...changes,
  };
};

export class ApprovalDesk {
  readonly records: Records;
  readonly approvals: Approvals;
  /** Whether the verifier answers. */
  reachable = true;
  /** What every answer waits for: a verifier that takes its time. */
  answering: Promise<void> = Promise.resolve();
  /** Tokens that sidecars get in place of what the verifier has: a verifier that lies. */
  readonly forged = new Map<string, string>();
  readonly sessions = new Map<string, string>();
  private readonly clock: Clock;

  constructor(clock: Clock) {
    this.clock = clock;
    this.records = new Records(new MemoryStore(), clock);
    this.approvals = new Approvals({
      records: this.records,
      clock,
      sessionOf: async (id) => ({ principal: this.sessions.get(id) }),
    });
  }

  get now(): number {
    return Math.floor(this.clock.now() / 1000);
  }

  async register({ uri, x, thumbprint }: Pick<TestPrincipal, 'uri' | 'x' | 'thumbprint'>, approver = true) {
    const ceiling = {
      scope: ['cloud:read' as ScopePattern],
      maxTtlSeconds: 3600,
      maxDepth: 3,
      delegatees: ['*' as const],
      domains: ['company.com'],
    };
    const keys = [{ x, name: 'first', addedAt: this.now }];
    await this.records.commit(
      { event: 'principal.added', actor: DESK, why: 'a test', data: { uri } },
      new Edit()
        .set(PRINCIPAL, nameOf(uri), { uri, human: true, approver, keys, ceiling, groups: [] })
        .set(PRINCIPAL_KEY, thumbprint, { principal: uri }),
    );
  }

  /** Fills the port of a sidecar: what `edge/verifier/approvals.ts` does over HTTPS. */
  portFor(agent: Pick<TestAgent, 'id'>): ApprovalPort {
    const actor = actorOf(agent);
    return {
      token: async (id) => {
        await this.answering;
        if (!this.reachable) return deny('approval_unavailable', 'the verifier: verifier_unreachable');
        const forged = this.forged.get(id);
        if (forged !== undefined) return grant(forged);
        const { state, token, why } = await this.approvals.fetch(actor, id);
        return state === 'denied' ? deny('approval_denied', `it was refused: ${why}`) : grant(token);
      },
      ask: async ({ scopes, agents, purpose, ...facts }) => {
        if (!this.reachable) return deny('approval_unavailable', 'the verifier: verifier_unreachable');
        try {
          await this.approvals.ask(actor, {
            kind: 'request',
            ...facts,
            scopes: [...scopes],
            agents: [...agents],
            ...(purpose !== undefined && { purpose }),
          });
          return grant(true);
        } catch (error) {
          if (error instanceof Refusal) return deny('approval_unavailable', error.message);
          throw error;
        }
      },
    };
  }

  async sign(id: string, approver: TestPrincipal, changes: Partial<RequestApproval> = {}): Promise<string> {
    const claims = claimsFor(await this.approvals.get(id), approver.uri, this.now, changes);
    return this.tokenOf(claims, approver);
  }

  tokenOf(claims: RequestApproval, { sign, thumbprint }: SigningKey): string {
    return mintRequestApproval(claims, sign, thumbprint);
  }

  /** An approver decides for it. */
  async approve(id: string, approver: TestPrincipal, changes: Partial<RequestApproval> = {}) {
    return this.approvals.grant(DESK, id, await this.sign(id, approver, changes), 'looks right');
  }
}
