/** Decisions by how the caller has proven itself: who comes without a sidecar, and what demands a signed request. */
import { type Case, NOW } from './case.ts';
import { observing, shaped, THREE } from './decision-restraints.ts';
import { allow, DESCRIBE, decide, EC2 } from './decision-standing.ts';
import { CLIENTS, type Edit, POLICY, TYPE } from './policy-required.ts';
import { PLANNER } from './world.ts';

const PROVEN = { proof: 'request' };
const admitting = (...entries: readonly Edit[]) => ({
  ...POLICY,
  rules: [allow()],
  withoutSidecar: entries.map((entry, index) => ({ name: `way-${index}`, ...entry })),
});
const demandingProof = (edit: Edit = {}) => ({ ...shaped({ ...EC2, requestProof: true }), ...edit });

export const proofCases = (): Case[] => [
  decide(
    'without a sidecar, where policy says nothing of that',
    'request_proof_not_allowed',
    { request: PROVEN },
    DESCRIBE,
  ),
  decide(
    'without a sidecar, as policy lets this caller',
    'ok',
    { policy: admitting({ callers: [PLANNER.id] }), request: PROVEN },
    DESCRIBE,
  ),
  decide(
    'without a sidecar, as policy lets others',
    'request_proof_not_allowed',
    { policy: admitting({ callers: [TYPE('batch')] }, { callerTypes: ['client'] }), request: PROVEN },
    DESCRIBE,
  ),
  decide(
    'without a sidecar: an agent further up counts for nothing',
    'request_proof_not_allowed',
    { policy: admitting({ callers: [CLIENTS] }), request: PROVEN },
    DESCRIBE,
  ),
  decide(
    'without a sidecar, for these scopes',
    'ok',
    { policy: admitting({ scopes: ['ec2:Describe*'] }), request: PROVEN },
    DESCRIBE,
  ),
  decide(
    'without a sidecar, for other scopes',
    'request_proof_not_allowed',
    { policy: admitting({ scopes: ['cloud:*'] }), request: PROVEN },
    DESCRIBE,
  ),
  decide(
    'without a sidecar, for one of two scopes',
    'request_proof_not_allowed',
    {
      policy: admitting({ scopes: ['ec2:*'] }, { scopes: ['cloud:*'] }),
      request: { ...PROVEN, method: 'POST', target: '/ec2' },
      scopes: THREE,
    },
    ['cloud:write', 'ec2:RunInstances'],
  ),
  decide(
    'without a sidecar, on another route',
    'request_proof_not_allowed',
    { policy: admitting({ routes: ['reports'] }), request: PROVEN },
    DESCRIBE,
  ),
  decide(
    'without a sidecar, to another callee',
    'request_proof_not_allowed',
    { policy: admitting({ callees: [TYPE('billing')] }), request: PROVEN },
    DESCRIBE,
  ),
  decide(
    'without a sidecar: that a rule allows it is not enough, and is not asked',
    'request_proof_not_allowed',
    { policy: { ...admitting({ routes: ['reports'] }), rules: [] }, request: PROVEN },
    DESCRIBE,
  ),
  decide(
    'without a sidecar: that it may come is not enough',
    'rule_unmatched',
    { policy: { ...admitting({ callers: [PLANNER.id] }), rules: [] }, request: PROVEN },
    DESCRIBE,
  ),
  decide(
    'without a sidecar, on a route that is only observed',
    'request_proof_not_allowed',
    { policy: observing({ rules: [] }), request: PROVEN },
    DESCRIBE,
  ),
  decide('a sidecar needs no way in', 'ok', { policy: admitting({ callers: [TYPE('batch')] }) }, DESCRIBE),
  decide(
    'with both proofs no way in is needed either',
    'ok',
    { policy: admitting({ callers: [TYPE('batch')] }), request: { proof: 'both' } },
    DESCRIBE,
  ),
  decide(
    'a demanded proof of the request that is not there',
    'request_proof_missing',
    { policy: demandingProof() },
    DESCRIBE,
  ),
  decide(
    'a demanded proof on top of the handshake',
    'ok',
    { policy: demandingProof(), request: { proof: 'both' } },
    DESCRIBE,
  ),
  decide(
    'a demanded proof by who has nothing else',
    'ok',
    { policy: demandingProof({ withoutSidecar: [{ name: 'way', callers: [PLANNER.id] }] }), request: PROVEN },
    DESCRIBE,
  ),
  decide(
    'a proof that is demanded for other scopes',
    'ok',
    { policy: shaped({ scopes: ['cloud:*'], requestProof: true }) },
    DESCRIBE,
  ),
  decide(
    'a demanded proof, at the caller’s own sidecar, which will make it',
    'ok',
    { policy: demandingProof(), request: { direction: 'outbound', body: 'x' } },
    DESCRIBE,
  ),
  decide(
    'a demanded proof is not observed only',
    'request_proof_missing',
    { policy: observing({ rules: [], demands: [{ ...EC2, requestProof: true }] }) },
    DESCRIBE,
  ),
  decide(
    'a demanded proof is told before stale trust',
    'request_proof_missing',
    { policy: demandingProof(), freshAt: NOW - 3601 },
    DESCRIBE,
  ),
];
