/** A request that proves itself, as its callee reads it. */
import { checkContentDigest } from '../../../src/core/http-signature/digest.ts';
import { SeenNonces } from '../../../src/core/http-signature/nonces.ts';
import { readProvingRequest } from '../../../src/core/http-signature/received.ts';
import { verifyRequestProof } from '../../../src/core/http-signature/verify.ts';
import { admitKey } from '../../../src/core/keys.ts';
import { type AgentId, parseAgentId } from '../../../src/core/spiffe-id.ts';
import { issuersOf } from './chain.ts';
import { must, type Outcome } from './outcome.ts';

export interface RequestProofInput {
  readonly own: { readonly id: string; readonly jwk: { readonly x: string } };
  readonly peer: string;
  readonly exporter: string;
  readonly startedAt: number;
  readonly issuers: Parameters<typeof issuersOf>[0];
  readonly seenNonces?: readonly string[];
  readonly request: {
    readonly method: string;
    readonly target: string;
    readonly headers: readonly string[];
    readonly body?: string;
  };
}

const idOf = (text: string): AgentId => {
  const id = parseAgentId(text);
  if (id === undefined) throw new Error(`no agent ID: ${text}`);
  return id;
};

export const runRequestProof = (input: RequestProofInput, now: number): Outcome => {
  const { method, target, headers: rawHeaders, body = '' } = input.request;
  const request = readProvingRequest({ method, target, rawHeaders, hasBody: body !== '' });
  if (!request.ok) return { reason: request.reason };
  const proof = verifyRequestProof(request.value, {
    own: { id: idOf(input.own.id), key: must(admitKey(input.own.jwk.x)) },
    peerId: idOf(input.peer),
    exporter: Buffer.from(input.exporter, 'base64url'),
    issuers: issuersOf(input.issuers),
    now,
    startedAt: input.startedAt,
  });
  if (!proof.ok) return { reason: proof.reason };
  const { caller, nonce, until, digest } = proof.value;
  const seen = new SeenNonces();
  for (const used of input.seenNonces ?? []) seen.take(caller.id, used, until, now);
  const denial =
    seen.take(caller.id, nonce, until, now) ?? (digest && checkContentDigest(digest, Buffer.from(body)));
  return denial === undefined
    ? { reason: 'ok', sub: caller.id, jkt: caller.key.thumbprint }
    : { reason: denial.reason };
};
