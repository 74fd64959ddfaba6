/** Strict parsing alone. The core parses and verifies in one call, so a reason from after parsing counts as `ok` here. */
import { parseLink } from '../../../src/core/delegation/link.ts';
import { parseJws } from '../../../src/core/encoding/jws.ts';
import { type Binding, type Role, verifyProof } from '../../../src/core/handshake/proof.ts';
import { admitKey } from '../../../src/core/keys.ts';
import { parseAgentId } from '../../../src/core/spiffe-id.ts';
import { verifyBundle } from '../../../src/core/trust/bundle.ts';
import { parseRoles } from '../../../src/core/trust/roles.ts';
import { verifyWit } from '../../../src/core/trust/wit.ts';
import { NOW } from '../make/case.ts';
import { CERT, EXPORTER } from '../make/handshake-world.ts';
import { type Agent, DOMAIN, INVENTORY, PLANNER, ROOT } from '../make/world.ts';
import { must, type Outcome, outcomeOf } from './outcome.ts';

/** A link out of its chain: with a member of L0 it is read as L0. */
const runLink = (text: string): Outcome => {
  const jws = parseJws(text, 'dlink+jwt');
  if (!jws.ok) return outcomeOf(jws);
  return outcomeOf(parseLink(text, !('par_hash' in jws.value.payload || 'kb' in jws.value.payload)));
};

const partyOf = ({ id, key }: Agent, certificate: string) => {
  const agentId = parseAgentId(id);
  if (agentId === undefined) throw new Error('no agent');
  return { id: agentId, key: must(admitKey(key.x)), certificate };
};

const runProof = (text: string, role: Role): Outcome => {
  const binding: Binding = {
    initiator: partyOf(PLANNER, CERT.initiator),
    responder: partyOf(INVENTORY, CERT.responder),
    exporter: EXPORTER,
    transcript: Buffer.alloc(32),
  };
  return parsed(verifyProof(text, role, binding)?.reason, 'proof_');
};

const parsed = (reason: string | undefined, after: string): Outcome => ({
  reason: reason === undefined || reason.startsWith(after) ? 'ok' : reason,
});
const reasonOf = (verdict: { readonly ok: boolean; readonly reason?: string }): string | undefined =>
  verdict.reason;

const runBundle = (text: string): Outcome => {
  const expected = { trustDomain: DOMAIN, root: ROOT.jkt, last: { epoch: 1, seq: 1 }, now: NOW };
  return parsed(reasonOf(verifyBundle(text, expected)), 'bundle_');
};

export const runJws = ({ type, jws }: { readonly type: string; readonly jws: string }): Outcome => {
  switch (type) {
    case 'link':
      return runLink(jws);
    case 'wit':
      return parsed(reasonOf(verifyWit(jws, new Map(), 0)), 'wit_');
    case 'proof-i':
      return runProof(jws, 'initiator');
    case 'proof-r':
      return runProof(jws, 'responder');
    case 'bundle':
      return runBundle(jws);
    case 'roles':
      return outcomeOf(parseRoles(jws));
    default:
      throw new Error(`no parser for ${type}`);
  }
};
