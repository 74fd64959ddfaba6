/** The port for approvals, filled by the verifier: the one thing for which it is asked while a request waits. */
import { LRUCache } from 'lru-cache';
import { approvalEndpoints } from '../../api/approvals.ts';
import { requestApprovalId } from '../../core/approval/request-approval.ts';
import { deny, grant, type Verdict } from '../../core/verdict.ts';
import type { ApprovalPort, AskedApproval, Clock } from '../../ports.ts';
import { systemClock } from '../clock.ts';
import { Pace, type PaceLimits } from '../pace.ts';
import { type VerifierClient, VerifierError } from './client.ts';
import type { VerifierLink } from './verifier-link.ts';

/** A request waits no longer than this for one address, */
const ADDRESS_MS = 2000;
/** and for all of them together. */
const ANSWER_MS = 5000;

/** What one caller may have filed through us: it is we who file it, and the verifier heeds us for so much and no more. */
const CALLER_PACE: PaceLimits = { burst: 32, perSecond: 0.5 };
const REMEMBERED = 4096;
const TOO_MANY = 'too many approvals are waiting already';

export class VerifierApprovals implements ApprovalPort {
  private readonly link: Pick<VerifierLink, 'run'>;
  private readonly pace: Pace;
  /** Ids that the verifier has said to be waiting, and that so need not be filed again. */
  private readonly waiting = new LRUCache<string, true>({ max: REMEMBERED });

  constructor(link: Pick<VerifierLink, 'run'>, clock: Clock = systemClock) {
    this.link = link;
    this.pace = new Pace(CALLER_PACE, clock);
  }

  async token(id: string): Promise<Verdict<string | undefined>> {
    return this.asked(async (client, signal) => {
      const answer = await client.call(approvalEndpoints.fetchApprovalToken, { params: { id } }, signal);
      if (answer.state === 'pending') this.waiting.set(id, true);
      return answer.state === 'denied'
        ? deny('approval_denied', `it was refused: ${answer.why ?? ''}`)
        : grant(answer.token);
    });
  }

  async ask({ scopes, agents, purpose, ...facts }: AskedApproval): Promise<Verdict<true>> {
    // Good for one question, since it may have ended by the next.
    if (this.waiting.delete(requestApprovalId(facts))) return grant(true);
    if (!this.pace.allows(facts.caller)) return deny('approval_unavailable', TOO_MANY);
    return this.asked(async (client, signal) => {
      const body = {
        kind: 'request' as const,
        ...facts,
        scopes: [...scopes],
        agents: [...agents],
        ...(purpose !== undefined && { purpose }),
      };
      await client.call(approvalEndpoints.askApproval, { body }, signal);
      return grant(true);
    });
  }

  private async asked<T>(
    call: (client: VerifierClient, signal: AbortSignal) => Promise<Verdict<T>>,
  ): Promise<Verdict<T>> {
    const answered = AbortSignal.timeout(ANSWER_MS);
    try {
      return await this.link.run((client) =>
        call(client, AbortSignal.any([answered, AbortSignal.timeout(ADDRESS_MS)])),
      );
    } catch (error) {
      if (!(error instanceof VerifierError)) throw error;
      // Where the verifier is, and what it says of others, is not the caller's to know.
      return deny(
        'approval_unavailable',
        error.reason === 'api_busy' ? TOO_MANY : `the verifier: ${error.reason}`,
      );
    }
  }
}
