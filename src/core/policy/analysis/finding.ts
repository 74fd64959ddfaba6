/** What is odd about a policy that is well formed: said with its place and with what to do. */
import type { FaultPath } from '../fault.ts';

/**
 * `fault`: what stands there has no effect, or denies all that it is about: it can't be what was meant.
 * `warning`: it works as written, and may be more, or less, than was meant.
 */
export type Severity = 'fault' | 'warning';

/** Each has one meaning, whatever its sentence. */
export type FindingCode =
  | 'route_unreachable'
  | 'operation_unreachable'
  | 'never_allowed'
  | 'rule_dead'
  | 'rule_shadowed'
  | 'allow_hidden'
  | 'rule_unselective'
  | 'condition_constant'
  | 'scope_idle'
  | 'scope_prefix'
  | 'scope_open'
  | 'set_idle'
  | 'route_observed'
  | 'demand_idle'
  | 'label_unread'
  | 'delegation_idle'
  | 'content_idle'
  | 'point_idle'
  | 'without_sidecar_idle'
  | 'without_sidecar_wide';

export interface Finding {
  readonly code: FindingCode;
  readonly severity: Severity;
  /** From the policy down. */
  readonly path: FaultPath;
  /** What is odd, and what to do about it. */
  readonly message: string;
}

export const fault = (code: FindingCode, path: FaultPath, message: string): Finding => ({
  code,
  severity: 'fault',
  path,
  message,
});

export const warning = (code: FindingCode, path: FaultPath, message: string): Finding => ({
  code,
  severity: 'warning',
  path,
  message,
});
