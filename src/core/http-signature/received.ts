/** Finds what a proof is made of among the headers of a request, in any case and once each (SPEC.md section 12.1). */
import { deny, grant, type Verdict } from '../verdict.ts';
import { SIGNED_FIELDS } from './components.ts';
import type { ProvingRequest } from './verify.ts';

export interface ReceivedRequest {
  readonly method: string;
  readonly target: string;
  /** Name, value, name, value …, as received. */
  readonly rawHeaders: readonly string[];
  /** Whether a body is announced. */
  readonly hasBody: boolean;
}

/** Headers by which a proof comes, and which go no further than it does. */
const OF_PROOF = ['signature-input', 'signature', 'workload-identity-token', 'hopgate-channel'];
const WANTED: ReadonlySet<string> = new Set([...SIGNED_FIELDS, ...OF_PROOF, 'host']);

/** Whether a request brings a proof: no agent behind a sidecar can have put this header there. */
export const bringsProof = (rawHeaders: readonly string[]): boolean => {
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    if (name.length === 15 && name.toLowerCase() === 'hopgate-channel') return true;
  }
  return false;
};

/** Without what was for us alone. */
export const withoutProof = (headers: readonly string[]): string[] => {
  const out: string[] = [];
  for (let at = 0; at < headers.length; at += 2)
    if (!OF_PROOF.includes((headers[at] ?? '').toLowerCase().replaceAll('_', '-')))
      out.push(headers[at] ?? '', headers[at + 1] ?? '');
  return out;
};

/** Refuses with `http_header_duplicate`: what occurs twice, or a second time with `_` for `-`, has two readers. */
export const readProvingRequest = ({
  method,
  target,
  rawHeaders,
  hasBody,
}: ReceivedRequest): Verdict<ProvingRequest> => {
  const found = new Map<string, string>();
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const sent = (rawHeaders[at] ?? '').toLowerCase();
    const name = sent.replaceAll('_', '-');
    if (!WANTED.has(name)) continue;
    if (found.has(name) || name !== sent)
      return deny('http_header_duplicate', `${name} occurs twice, or with _ for -`);
    found.set(name, rawHeaders[at + 1] ?? '');
  }
  return grant({
    method,
    authority: found.get('host') ?? '',
    target,
    fields: new Map([...found].filter(([name]) => SIGNED.has(name))),
    signatureInput: found.get('signature-input'),
    signature: found.get('signature'),
    hasBody,
  });
};

const SIGNED: ReadonlySet<string> = new Set(SIGNED_FIELDS);
