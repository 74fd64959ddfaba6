/** The closed form of each kind of audit record, its hash aside (SPEC.md section 14). */
import type { Json, JsonObject } from '../encoding/json.ts';
import {
  checkMembers,
  type Is,
  isBoolean,
  isInteger,
  isObject,
  isString,
  type Members,
  optional,
} from '../encoding/members.ts';
import { isAgentId } from '../spiffe-id.ts';
import { type Denial, deny } from '../verdict.ts';
import type { AuditBody } from './record.ts';

const REASON = /^[a-z][a-z0-9_]*$/;
const isCount = isInteger(0, Number.MAX_SAFE_INTEGER);
// By its form only: a log may be read by an older version than the one that wrote it.
const isReason: Is = (value) => typeof value === 'string' && REASON.test(value);
const isDirection: Is = (value) => value === 'inbound' || value === 'outbound';
const isStrings: Is = (value) => Array.isArray(value) && value.every(isString);
const isArrayOf =
  (members: Members): Is =>
  (value) =>
    Array.isArray(value) &&
    value.every((item: Json) => isObject(item) && checkMembers(item, members, 'an entry').ok);

const isContent = isArrayOf({ action: isString, pattern: isString, rule: isString });

const FRAME: Members = {
  kind: isString,
  log: isString,
  prev: isString,
  seq: isInteger(1, Number.MAX_SAFE_INTEGER),
  sidecar: isAgentId,
  time: isCount,
  v: (value) => value === 1,
};

const KINDS: Readonly<Record<AuditBody['kind'], Members>> = {
  start: { ...FRAME, bundle: isString, policy: isString, version: isString },
  decision: {
    ...FRAME,
    agents: isArrayOf({ id: isString, link: isString }),
    approvals: optional(isArrayOf({ approver: isString, id: isString })),
    bundle: isString,
    cached: isBoolean,
    callee: isString,
    caller: isString,
    content: optional(isContent),
    destination: optional(isString),
    direction: isDirection,
    flags: optional(isStrings),
    granted: isStrings,
    hop: isString,
    labels: optional(isStrings),
    method: isString,
    observed: optional(isReason),
    opa: optional(isArrayOf({ id: isString, point: isString })),
    operations: optional(isArrayOf({ method: isString, name: isString })),
    policy: isString,
    principal: isString,
    proof: optional((value) => value === 'request' || value === 'both' || value === 'none'),
    reason: isReason,
    required: isStrings,
    rule: isString,
    shadow: optional(isArrayOf({ effect: isString, rule: isString })),
    target: isString,
    task: isString,
    us: (value) => isObject(value) && Object.values(value).every(isCount),
    verdict: (value) => value === 'permit' || value === 'deny',
  },
  outcome: {
    ...FRAME,
    content: optional(isContent),
    direction: isDirection,
    hop: isString,
    labels: optional(isStrings),
    received: isCount,
    result: isReason,
    sent: isCount,
    status: isInteger(0, 999),
    tools: optional(isArrayOf({ change: isString, digest: isString, name: isString })),
    us: isCount,
  },
  refusals: {
    ...FRAME,
    from: isCount,
    sources: isArrayOf({ count: isCount, reason: isReason, source: isString }),
    to: isCount,
  },
  quarantine: {
    ...FRAME,
    action: isReason,
    by: isString,
    callee: isString,
    caller: isString,
    hop: isString,
    id: isString,
    key: isString,
    method: isString,
    principal: isString,
    reason: isString,
    rule: isString,
    target: isString,
    task: isString,
  },
  checkpoint: { ...FRAME, proof: isString, wit: isString },
  stop: { ...FRAME, reason: isString },
};

/** Whether a record has exactly the members of its kind. Refuses with `audit_line`. */
export const checkRecordForm = (record: JsonObject): Denial | undefined => {
  const { kind } = record;
  if (typeof kind !== 'string' || !Object.hasOwn(KINDS, kind))
    return deny('audit_line', 'a record of no known kind');
  const closed = checkMembers(record, KINDS[kind as AuditBody['kind']], `the ${kind} record`);
  return closed.ok ? undefined : deny('audit_line', `${closed.reason}: ${closed.detail}`);
};
