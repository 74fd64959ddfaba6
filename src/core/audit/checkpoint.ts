/** Checkpoints: the audit key's signature over all records before (SPEC.md section 14). */
import { parseJws, type Sign, signJws, verifyJws } from '../encoding/jws.ts';
import { checkMembers, isDigest, isInteger, isString, isTime } from '../encoding/members.ts';
import { admitKey, thumbprintOf } from '../keys.ts';
import { CLOCK_SKEW_SECONDS } from '../limits.ts';
import { isAgentId } from '../spiffe-id.ts';
import { type Issuers, verifyWit } from '../trust/wit.ts';
import { type Denial, deny } from '../verdict.ts';
import type { CheckpointRecord, LogHead } from './record.ts';

const isHashOrEmpty = (value: unknown): boolean => value === '' || isDigest(value as string);

const MEMBERS = {
  log: isString,
  sub: isAgentId,
  seq: isInteger(1, Number.MAX_SAFE_INTEGER),
  prev: isHashOrEmpty,
  pred: isHashOrEmpty,
  iat: isTime,
} as const;

export interface AuditSigner {
  readonly sidecar: string;
  /** The WIT that certifies the audit key. */
  readonly wit: string;
  readonly auditX: string;
  readonly sign: Sign;
}

/** The body of a checkpoint that follows `head`. `nowSeconds` becomes `iat`. */
export const mintCheckpoint = (head: LogHead, signer: AuditSigner, nowSeconds: number): CheckpointRecord => ({
  kind: 'checkpoint',
  proof: signJws(
    'audit-cp+jwt',
    {
      log: head.log,
      sub: signer.sidecar,
      seq: head.seq + 1,
      prev: head.hash,
      pred: head.checkpoint,
      iat: nowSeconds,
    },
    signer.sign,
    thumbprintOf(signer.auditX),
  ),
  wit: signer.wit,
});

/** Verifies a checkpoint that follows `head` in a record of `timeMs`. Refuses with `audit_checkpoint`, with the fault in the detail. */
export const verifyCheckpoint = (
  record: CheckpointRecord,
  head: LogHead,
  sidecar: string,
  timeMs: number,
  issuers: Issuers,
): Denial | undefined => {
  const proof = parseJws(record.proof, 'audit-cp+jwt');
  if (!proof.ok) return fault(proof);
  const closed = checkMembers(proof.value.payload, MEMBERS, 'the checkpoint');
  if (!closed.ok) return fault(closed);
  const claims = proof.value.payload;
  // Only `iat` is signed with the WIT's life in view: apart from its record, it could claim any moment of that life.
  if (Math.abs(timeMs - (claims.iat as number) * 1000) > CLOCK_SKEW_SECONDS * 1000)
    return deny('audit_checkpoint', `issued at ${claims.iat}, its record is of ${timeMs} ms`);
  // The WIT is history: it was valid when the checkpoint was made, not now.
  const wit = verifyWit(record.wit, issuers, claims.iat as number);
  if (!wit.ok) return fault(wit);
  const { auditX, sub } = wit.value;
  if (claims.sub !== sidecar || sub !== sidecar)
    return deny('audit_checkpoint', 'signed for another sidecar');
  if (claims.log !== head.log || claims.seq !== head.seq + 1 || claims.prev !== head.hash)
    return deny('audit_checkpoint', 'made for another place in the log');
  if (claims.pred !== head.checkpoint)
    return deny('audit_checkpoint', 'does not follow the checkpoint before it');
  if (auditX === undefined || proof.value.kid !== thumbprintOf(auditX))
    return deny('audit_checkpoint', 'its WIT certifies another audit key');
  const key = admitKey(auditX);
  if (!key.ok) return fault(key);
  return verifyJws(proof.value, key.value.key)
    ? undefined
    : deny('audit_checkpoint', 'its signature is wrong');
};

const fault = (denial: Denial): Denial => deny('audit_checkpoint', `${denial.reason}: ${denial.detail}`);
