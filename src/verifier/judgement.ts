/** What is allowed, what has ended and how far agents are trusted: policy, revocation and scores, put together. */
import type { Clock } from '../ports.ts';
import type { Authority } from './authority/authority.ts';
import { Enforcement } from './policy/enforcement.ts';
import { Lists } from './policy/lists.ts';
import { PolicyRevisions } from './policy/revisions.ts';
import { listsSource, policySource } from './policy/sources.ts';
import type { Publication } from './publication/publication.ts';
import type { Sources } from './publication/sources.ts';
import type { Records } from './records.ts';
import { AGENT } from './registry/agent-records.ts';
import { Revocations, type Telling } from './revocation/revocations.ts';
import { revocationSource } from './revocation/source.ts';
import { Scores } from './scores/scores.ts';

export interface JudgementParts {
  readonly records: Records;
  readonly clock: Clock;
  readonly authority: Pick<Authority, 'timing'>;
  /** Opened after this, since it reads what is kept here. */
  readonly publication: () => Publication;
  readonly secondApprover: boolean;
}

export interface Judgement {
  readonly policies: PolicyRevisions;
  readonly lists: Lists;
  readonly enforcement: Enforcement;
  readonly revocations: Revocations;
  readonly scores: Scores;
  readonly sources: Pick<Sources, 'policy' | 'lists' | 'revocations' | 'scores'>;
}

export const openJudgement = ({
  records,
  clock,
  authority,
  publication,
  secondApprover,
}: JudgementParts): Judgement => {
  const telling: Telling = {
    whenPublished: (revision) => publication().whenPublished(revision),
    get current() {
      return publication().current;
    },
  };
  const policies = new PolicyRevisions({ records, clock, telling, secondApprover });
  const revocations = new Revocations({
    records,
    clock,
    telling,
    trust: () => publication().current.verified,
    longest: async () => {
      const { limits } = await policies.current();
      return {
        link: limits.linkTtlSeconds,
        task: limits.maxTaskAgeSeconds ?? 0,
        svid: authority.timing.svid,
      };
    },
  });
  const scores = new Scores({
    records,
    clock,
    isAgent: async (id) => (await records.get(AGENT, id)) !== undefined,
    minimums: async () =>
      ((await policies.policy())?.demands ?? []).flatMap(({ minScore }) =>
        minScore === undefined ? [] : [minScore],
      ),
  });
  return {
    policies,
    lists: new Lists(records, telling),
    enforcement: new Enforcement(clock),
    revocations,
    scores,
    sources: {
      policy: policySource(records),
      lists: listsSource(records),
      revocations: revocationSource(records),
      scores: scores.source(),
    },
  };
};
