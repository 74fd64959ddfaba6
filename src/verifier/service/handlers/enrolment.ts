/** Enrolment and renewal at the API. */
import type { enrolmentEndpoints } from '../../../api/enrolment.ts';
import type { Challenges } from '../../registry/challenges.ts';
import type { Enrolments } from '../../registry/enrolments.ts';
import type { Handlers } from '../handler.ts';

export const enrolmentHandlers = ({
  challenges,
  enrolments,
}: {
  readonly challenges: Challenges;
  readonly enrolments: Enrolments;
}): Handlers<typeof enrolmentEndpoints> => ({
  createChallenge: () => challenges.make(),
  enrol: ({ actor, source, body }) => enrolments.enrol({ actor, source }, body),
  renew: ({ actor, source, body }) => enrolments.renew({ actor, source }, body),
});
