/** Scores, and the reports that they come from, at the API. */
import type { reportEndpoints } from '../../../api/reports.ts';
import type { scoreEndpoints } from '../../../api/scores.ts';
import type { AgentId } from '../../../core/spiffe-id.ts';
import type { Enforcement } from '../../policy/enforcement.ts';
import { Refusal } from '../../refusal.ts';
import type { Scores } from '../../scores/scores.ts';
import type { Handlers } from '../handler.ts';

export const scoreHandlers = ({ scores }: { readonly scores: Scores }): Handlers<typeof scoreEndpoints> => ({
  getScore: ({ params }) => scores.answer(params.id as AgentId),
});

/** What a sidecar says counts as said by its agent, whose SVID it has. */
export const reportHandlers = ({
  scores,
  enforcement,
}: {
  readonly scores: Scores;
  readonly enforcement: Enforcement;
}): Handlers<typeof reportEndpoints> => ({
  sendReport: ({ actor: { id }, body }) => {
    if (id === undefined) throw new Refusal('api_forbidden', 'reports are by sidecars, under their SVID');
    enforcement.note(id, body);
    for (const { peer, outcomes, denials } of body.peers) {
      // What ends otherwise was permitted first: time, another policy or whoever broke off ended it, and none of that is evidence.
      scores.take(id, peer as AgentId, { ok: outcomes.ok });
      scores.take(id, peer as AgentId, denials);
    }
  },
});
