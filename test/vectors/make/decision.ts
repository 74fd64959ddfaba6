/** Policy decisions over chains that have verified. */
import type { Case } from './case.ts';
import { conditionCases } from './decision-conditions.ts';
import { contentCases } from './decision-content.ts';
import { messageDecisionCases } from './decision-messages.ts';
import { proofCases } from './decision-proofs.ts';
import { restraintCases } from './decision-restraints.ts';
import { standingCases } from './decision-standing.ts';

export const decisionCases = (): Case[] => [
  ...standingCases(),
  ...conditionCases(),
  ...restraintCases(),
  ...proofCases(),
  ...contentCases(),
  ...messageDecisionCases(),
];
