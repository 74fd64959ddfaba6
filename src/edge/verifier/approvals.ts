/** The port for approvals, filled by the verifier: the one thing for which it is asked while a request waits. */
import { approvalEndpoints } from '../../api/approvals.ts';
import { deny, grant, type Verdict } from '../../core/verdict.ts';
import type { ApprovalPort, AskedApproval } from '../../ports.ts';
import { type VerifierClient, VerifierError } from './client.ts';
import type { VerifierLink } from './verifier-link.ts';

/** A request waits no longer than this for one address, */
const ADDRESS_MS = 2000;
/** and for all of them together. */
const ANSWER_MS = 5000;

export class VerifierApprovals implements ApprovalPort {
  private readonly link: Pick<VerifierLink, 'run'>;

  constructor(link: Pick<VerifierLink, 'run'>) {
    this.link = link;
  }

  async token(id: string): Promise<Verdict<string | undefined>> {
    return this.asked(async (client, signal) => {
      const answer = await client.call(approvalEndpoints.fetchApprovalToken, { params: { id } }, signal);
      return answer.state === 'denied'
        ? deny('approval_denied', `it was refused: ${answer.why ?? ''}`)
        : grant(answer.token);
    });
  }

  async ask({ scopes, agents, purpose, ...facts }: AskedApproval): Promise<Verdict<true>> {
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
        error.reason === 'api_busy'
          ? 'too many approvals are waiting already'
          : `the verifier: ${error.reason}`,
      );
    }
  }
}
