/** Requests that policy wants kept aside: whether a reviewer has released this one, and if not, it is kept (SPEC.md section 13). */
import { MAX_MESSAGE_BYTES } from '../core/limits.ts';
import { leavesMesh } from '../core/policy/destination.ts';
import { type Denial, deny, type Verdict } from '../core/verdict.ts';
import type { NamedRequest, QuarantinePort } from '../ports.ts';
import { headerValues } from './headers.ts';
import type { HopReply, HopRequest, Path } from './path.ts';
import { contentNotes, type Quarantined, type Refusal } from './permit.ts';

interface Named {
  readonly port: QuarantinePort;
  readonly named: NamedRequest;
  readonly body: Buffer;
}

const NOWHERE = deny('quarantine_unavailable', 'this sidecar has no quarantine to keep it in');

const nameOf = async (
  { quarantine }: Path,
  { method, target, headers, callee, caller }: HopRequest,
  { input: { delegated } }: Quarantined,
  { body }: HopReply,
): Promise<Verdict<Named>> => {
  // `decide` refuses outright what leaves the mesh: there is nobody behind it for whom it could be kept.
  if (quarantine === undefined || body === undefined || leavesMesh(callee)) return NOWHERE;
  const octets = await body(MAX_MESSAGE_BYTES);
  if (!octets.ok) return octets;
  const { principal, task } = delegated.chain;
  const request = {
    caller: caller.id,
    callee,
    principal,
    task,
    method,
    target,
    type: headerValues(headers, 'content-type').join(','),
    encoding: headerValues(headers, 'content-encoding').join(','),
  };
  return {
    ok: true,
    value: { port: quarantine, named: quarantine.name(request, octets.value), body: octets.value },
  };
};

/** Takes the one use of its release; false where there is none. Refuses with `audit_unavailable`. */
export const takeRelease = async (
  path: Path,
  request: HopRequest,
  kept: Quarantined,
  reply: HopReply,
): Promise<boolean | Denial> => {
  const found = await nameOf(path, request, kept, reply);
  if (!found.ok) return false;
  const taken = await found.value.port.takeRelease(found.value.named, request.hop);
  return taken.ok ? taken.value : taken;
};

/** The refusal, with the id under which it was kept. Refuses with `quarantined`, `quarantine_unavailable`, `audit_unavailable`. */
export const keepAside = async (
  path: Path,
  request: HopRequest,
  kept: Quarantined,
  reply: HopReply,
): Promise<Refusal> => {
  const { input, ...refusal } = kept;
  const found = await nameOf(path, request, kept, reply);
  if (!found.ok) return { ...refusal, ...asUnavailable(found) };
  const { port, named, body } = found.value;
  const findings = [...new Set(contentNotes(input).map(({ pattern }) => pattern))];
  const cause = { hop: request.hop, rule: kept.rule ?? '', findings };
  const done = await port.keep(named, cause, body);
  if (!done.ok) return { ...refusal, ...done };
  return { ...refusal, detail: `${kept.detail}; it is kept as ${named.id}` };
};

const asUnavailable = (denial: Denial): Denial =>
  denial.reason === 'http_body_too_large' ? deny('quarantine_unavailable', denial.detail) : denial;
