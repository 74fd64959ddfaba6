/** What a decision says of how its caller has proven itself, and whether our own sidecar has to sign (SPEC.md section 13). */
import type { ScopeLiteral } from '../core/delegation/scope.ts';
import type { Allowed, Standing } from '../core/policy/evaluate.ts';
import { checkCallerProof, checkDemandedProof } from '../core/policy/proofs.ts';
import type { Denial } from '../core/verdict.ts';
import { type DecisionInput, isForAgent } from './permit.ts';

/** Whether the caller may come without a sidecar, if it does. Nothing of that is observed only. */
export const callerDenial = (
  { route }: Standing,
  { direction, delegated: { chain }, callee, proof, trust }: DecisionInput,
  required: readonly ScopeLiteral[],
): Denial | undefined =>
  direction === 'outbound'
    ? undefined
    : checkCallerProof(trust.policy.policy, proof, {
        caller: chain.holder.id,
        callee,
        route: route.name,
        required,
      });

/** Who asks for scopes that demand a proof of the request itself is to bring it; our own sidecar makes it for its agent. */
export const proofDenial = (
  known: Standing,
  input: DecisionInput,
  { required, demanded }: Pick<Allowed, 'required' | 'demanded'>,
): Denial | undefined =>
  callerDenial(known, input, required) ??
  (input.direction === 'outbound' ? undefined : checkDemandedProof(demanded, input.proof));

/** What we sign has to be here whole. Beyond the mesh nobody reads what sidecars sign. */
export const wantsToSign = (input: DecisionInput, { demanded }: Pick<Allowed, 'demanded'>): boolean =>
  input.direction === 'outbound' &&
  isForAgent(input) &&
  demanded.requestProof &&
  input.size !== 0 &&
  input.bodyProven !== true;
