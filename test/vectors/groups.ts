/** The groups of vectors, one JSON file each. */
import { approvalCases } from './make/approval.ts';
import { attributeCases } from './make/attributes.ts';
import { auditCases } from './make/audit.ts';
import { bundleCases } from './make/bundle.ts';
import type { Case } from './make/case.ts';
import { caveatCases } from './make/caveats.ts';
import { chainCases } from './make/chain.ts';
import { decisionCases } from './make/decision.ts';
import { handshakeCases } from './make/handshake.ts';
import { jwsCases } from './make/jws.ts';
import { keyCases } from './make/keys.ts';
import { messageCases } from './make/message.ts';
import { policyCases } from './make/policy.ts';
import { quarantineCases } from './make/quarantine.ts';
import { requestProofCases } from './make/request-proof.ts';
import { revocationCases } from './make/revocation.ts';
import { rolesCases } from './make/roles.ts';
import { scopeCases } from './make/scope.ts';
import { scoreCases } from './make/scores.ts';
import { spiffeCases } from './make/spiffe.ts';
import { targetCases } from './make/target.ts';
import { timestampCases } from './make/timestamp.ts';
import { witCases } from './make/wit.ts';

export const GROUPS = {
  keys: keyCases,
  jws: jwsCases,
  spiffe: spiffeCases,
  scope: scopeCases,
  chain: chainCases,
  caveats: caveatCases,
  wit: witCases,
  handshake: handshakeCases,
  'request-proof': requestProofCases,
  roles: rolesCases,
  bundle: bundleCases,
  timestamp: timestampCases,
  approval: approvalCases,
  quarantine: quarantineCases,
  scores: scoreCases,
  attributes: attributeCases,
  revocation: revocationCases,
  target: targetCases,
  policy: policyCases,
  message: messageCases,
  decision: decisionCases,
  audit: auditCases,
} as const satisfies Record<string, () => Case[]>;

export type Group = keyof typeof GROUPS;

export const fileOf = (group: Group): URL => new URL(`./${group}.json`, import.meta.url);

/** The file of a group: one case a block, members in a fixed order. */
export const render = (cases: readonly Case[]): string =>
  `[\n${cases.map((each) => JSON.stringify(each, null, 1)).join(',\n')}\n]\n`;
