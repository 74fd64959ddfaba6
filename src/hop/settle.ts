/**
 * Decisions that need more than headers: what is missing is got, and the decision is made again with it, until it is a permit
 * or a refusal. Whatever fails on the way is a denial.
 */
import { type Denial, deny, grant } from '../core/verdict.ts';
import { seekApproval } from './approval.ts';
import { checkPermit } from './check-permit.ts';
import { decide } from './decide.ts';
import type { HopReply, HopRequest, Path } from './path.ts';
import {
  type Decision,
  isQuarantined,
  isUnapproved,
  isUndecided,
  type Permit,
  type Quarantined,
  type Unapproved,
} from './permit.ts';
import { keepAside, takeRelease } from './quarantine.ts';
import { supply, withNotes } from './supply.ts';

/** Answers a decision that is open. Never rejects. */
export const settle = async (
  path: Path,
  request: HopRequest,
  open: Decision,
  reply: HopReply,
): Promise<Decision> => {
  try {
    const settled = await closeDecision(path, request, open, reply);
    if (!settled.ok) return settled;
    const permit = withLabelsOfNow(request, settled.value);
    return changedSince(path, settled.value, permit) ?? grant(permit);
  } catch (error) {
    // The peer hears `internal` and nothing else; without this line nobody would ever know what it was.
    path.onFault?.(error, 'what a decision needs could not be had');
    return deny('internal', 'what the decision needs could not be had');
  }
};

const closeDecision = async (
  path: Path,
  request: HopRequest,
  open: Decision,
  reply: HopReply,
): Promise<Decision> => {
  /** Policy wants it kept aside: decided on as if a reviewer had released it, and then it is asked whether one has. */
  let kept: Quarantined | undefined;
  let decision = open;
  for (;;) {
    if (!decision.ok && isUndecided(decision)) decision = await supply(path, request, decision, reply);
    else if (!decision.ok && isQuarantined(decision) && kept === undefined) {
      kept = decision;
      // Found while it was not released: what denies besides has to be looked at again.
      decision = decide({ ...decision.input, released: true, content: undefined });
    } else if (kept !== undefined) {
      // A release is good once: what would be refused all the same does not use it up.
      const isGood = decision.ok || isUnapproved(decision);
      const released = isGood ? await takeRelease(path, request, kept, reply) : false;
      if (released !== true) return released === false ? keepAside(path, request, kept, reply) : released;
      kept = undefined;
    } else if (!decision.ok && isUnapproved(decision)) decision = await approve(path, decision, reply);
    else return decision;
  }
};

const approve = async (path: Path, unapproved: Unapproved, reply: HopReply): Promise<Decision> => {
  const sought = await seekApproval(path, unapproved, reply.body);
  return sought.ok ? sought : withNotes(sought, unapproved);
};

/** The task may have touched other data while this waited; what was decided without a word of it says so from now on. */
const withLabelsOfNow = ({ labels }: HopRequest, permit: Permit): Permit => {
  const { input, delegated } = permit;
  const now = labels(delegated.chain);
  if (now.every((label) => permit.labels.includes(label))) return permit;
  return {
    ...permit,
    labels: [...new Set([...permit.labels, ...now])],
    isLive: true,
    input: { ...input, labels: now },
  };
};

/** Trust may have been replaced in the meantime too: it was decided by what was in force when the request came. */
const changedSince = ({ trust, clock }: Path, decided: Permit, permit: Permit): Denial | undefined => {
  const current = trust.current();
  if (!current.ok) return current;
  const { generation } = permit.input.trust;
  if (current.value.generation === generation && permit === decided) return undefined;
  return checkPermit(permit, current.value, Math.floor(clock.now() / 1000), generation);
};
