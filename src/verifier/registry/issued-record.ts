/** What is kept of an agent once credentials have been made for it. */
import { X509Certificate } from 'node:crypto';
import type { AgentId } from '../../core/spiffe-id.ts';
import type { Recorded } from '../records.ts';
import { type AgentRecord, svidKeyName } from './agent-records.ts';
import type { Attestation } from './attestors/attestor.ts';
import type { ProvenRequest } from './proven-request.ts';

export const recordOf = (issue: {
  readonly isReplaced: boolean;
  readonly proven: ProvenRequest;
  readonly attestation: Attestation;
  readonly entry: string;
  readonly id: AgentId;
  readonly was: Recorded<AgentRecord> | undefined;
  readonly svid: { readonly pem: string; readonly notAfter: number };
  readonly now: number;
}): AgentRecord => {
  const { isReplaced, proven, attestation, entry, id, was, svid, now } = issue;
  const svidsSince = isReplaced ? now : was?.value.svidsSince;
  const { agentKey, auditKey, csr } = proven;
  const name = svidKeyName(csr.keyDigest);
  const [last] = was?.value.svidKeys ?? [];
  const before = last === name ? was?.value.svidKeys[1] : last;
  return {
    id,
    state: 'live',
    agentX: agentKey.x,
    thumbprint: agentKey.thumbprint,
    auditX: auditKey.x,
    svidKeys: before === undefined ? [name] : [name, before],
    serial: new X509Certificate(svid.pem).serialNumber.toLowerCase(),
    entry,
    attestor: attestation.method,
    facts: [...attestation.facts],
    enrolledAt: was?.value.enrolledAt ?? now,
    renewedAt: now,
    svidNotAfter: svid.notAfter,
    ...(svidsSince !== undefined && { svidsSince }),
  };
};
