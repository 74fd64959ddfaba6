/** Frames and proofs of the handshake between the planner (initiator) and the inventory (responder). */
import { b64u, type Claims, headerOf, type Key, octets, rawJws, sha256 } from './signing.ts';
import { type Agent, INVENTORY, PLANNER, wit } from './world.ts';

export type Role = 'initiator' | 'responder';

export const CERT = {
  initiator: b64u(octets('planner certificate')),
  responder: b64u(octets('inventory certificate')),
};
export const EXPORTER = octets('exporter');
export const NONCE = { initiator: octets('nonce I'), responder: octets('nonce R') };
const SIDES = { initiator: PLANNER, responder: INVENTORY };

export const frame = (type: number, fields: readonly (Uint8Array | string)[]): Buffer =>
  frameOf(
    type,
    Buffer.concat(
      fields.map((field) => {
        const body = Buffer.from(field);
        return Buffer.concat([Buffer.of(body.length >> 8, body.length & 255), body]);
      }),
    ),
  );

/** A frame around any body. */
export const frameOf = (type: number, body: Uint8Array, length = body.length): Buffer =>
  Buffer.concat([Buffer.of(type, length >> 16, (length >> 8) & 255, length & 255), body]);

/** The fields of a frame. */
export const fieldsOf = (sent: Buffer): Buffer[] => {
  const fields: Buffer[] = [];
  for (let at = 4; at < sent.length; at += 2 + sent.readUInt16BE(at))
    fields.push(sent.subarray(at + 2, at + 2 + sent.readUInt16BE(at)));
  return fields;
};

export interface HelloPlan {
  readonly version?: string;
  readonly suites?: readonly number[];
  readonly nonce?: Uint8Array;
  readonly wit?: string;
}

export const hello = (plan: HelloPlan = {}): Buffer =>
  frame(1, [
    plan.version ?? 'hopgate-hs/1',
    Buffer.from(plan.suites ?? [1]),
    plan.nonce ?? NONCE.initiator,
    plan.wit ?? wit(PLANNER),
  ]);

/** The ten members of a proof; `th` is left to the caller. */
export const proofClaims = (
  role: Role,
  edit: Claims = {},
  initiator: Agent = PLANNER,
  responder: Agent = INVENTORY,
): Claims =>
  Object.fromEntries(
    Object.entries({
      label: 'hopgate-hs/1',
      role,
      iid: initiator.id,
      rid: responder.id,
      ijkt: initiator.key.jkt,
      rjkt: responder.key.jkt,
      icert: CERT.initiator,
      rcert: CERT.responder,
      exporter: b64u(EXPORTER),
      th: b64u(octets('no transcript')),
      ...edit,
    }).filter(([, value]) => value !== undefined),
  );

export interface ProofPlan {
  readonly edit?: Claims;
  readonly by?: Key;
  readonly typ?: string;
  /** Spaces behind the payload, which JSON allows. */
  readonly spaces?: number;
  /** Another spelling of the finished proof. */
  readonly change?: (proof: string) => string;
  readonly initiator?: Agent;
}

const proof = (role: Role, transcript: Uint8Array, plan: ProofPlan): string => {
  const claims = proofClaims(role, { th: b64u(transcript), ...plan.edit }, plan.initiator);
  const typ = plan.typ ?? (role === 'initiator' ? 'hs-i+jwt' : 'hs-r+jwt');
  const payload = JSON.stringify(sorted(claims)) + ' '.repeat(plan.spaces ?? 0);
  const text = rawJws(headerOf(typ), payload, plan.by ?? SIDES[role].key);
  return plan.change?.(text) ?? text;
};

/** Our own sidecars write canonical JSON, so that a test can make their frame again. */
const sorted = (claims: Claims): Claims =>
  Object.fromEntries(Object.entries(claims).sort(([a], [b]) => (a < b ? -1 : 1)));

export interface ChallengePlan extends ProofPlan {
  readonly suite?: readonly number[];
  readonly nonce?: Uint8Array;
  readonly wit?: string;
}

/** F2 as an answer to F1. */
export const challenge = (f1: Uint8Array, plan: ChallengePlan = {}): Buffer => {
  const fields = [Buffer.from(plan.suite ?? [1]), plan.nonce ?? NONCE.responder, plan.wit ?? wit(INVENTORY)];
  const lessProof = frame(2, fields).subarray(4);
  return frame(2, [...fields, proof('responder', sha256(sha256(f1), lessProof), plan)]);
};

export const transcript = (f1: Uint8Array, f2: Uint8Array): Buffer => sha256(sha256(f1), f2);
export const sessionOf = (f1: Uint8Array, f2: Uint8Array): string => b64u(transcript(f1, f2).subarray(0, 16));

/** F3 as an answer to F2. */
export const answer = (f1: Uint8Array, f2: Uint8Array, plan: ProofPlan = {}): Buffer =>
  frame(3, [proof('initiator', transcript(f1, f2), plan)]);
