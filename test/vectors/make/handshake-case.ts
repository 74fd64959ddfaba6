/** What the handshake vectors share: good frames, and who receives which. */
import { type Case, NOW } from './case.ts';
import {
  answer,
  CERT,
  type ChallengePlan,
  challenge,
  EXPORTER,
  type HelloPlan,
  hello,
  type ProofPlan,
} from './handshake-world.ts';
import { b64u, type Claims } from './signing.ts';
import { INVENTORY, issuersOf, PLANNER } from './world.ts';

export interface Options {
  readonly now?: number;
  readonly peer?: Claims;
  readonly own?: Claims;
  readonly exporter?: Uint8Array;
  readonly pin?: string;
  readonly seenNonces?: readonly string[];
  readonly source?: string;
}

export const make = (
  comment: string,
  role: 'initiator' | 'responder',
  frames: Readonly<Record<string, Uint8Array>>,
  expect: Case['expect'],
  options: Options,
): Case => {
  const [self, other] =
    role === 'responder' ? ([INVENTORY, PLANNER] as const) : ([PLANNER, INVENTORY] as const);
  const peerRole = role === 'responder' ? 'initiator' : 'responder';
  return {
    comment,
    source: options.source ?? '11',
    now: options.now ?? NOW,
    input: {
      role,
      own: { id: self.id, jwk: self.key.jwk, cert: CERT[role], ...options.own },
      peer: { id: other.id, cert: CERT[peerRole], ...options.peer },
      ...(role === 'initiator' ? { pin: options.pin ?? INVENTORY.id } : {}),
      exporter: b64u(options.exporter ?? EXPORTER),
      frames: Object.fromEntries(
        Object.entries(frames).map(([name, sent]) => [name, Buffer.from(sent).toString('hex')]),
      ),
      issuers: issuersOf(),
      ...(options.seenNonces === undefined ? {} : { seenNonces: options.seenNonces }),
    },
    expect,
  };
};

export const F1 = hello();
export const F2 = challenge(F1);
export const F3 = answer(F1, F2);

/** The responder receives F1. */
export const first = (
  comment: string,
  plan: HelloPlan | Uint8Array,
  reason: string,
  options: Options = {},
): Case =>
  make(comment, 'responder', { f1: plan instanceof Uint8Array ? plan : hello(plan) }, { reason }, options);

/** The responder has answered F1 with F2 and receives F3. */
export const third = (
  comment: string,
  plan: ProofPlan | Uint8Array,
  reason: string,
  options: Options = {},
): Case =>
  make(
    comment,
    'responder',
    { f1: F1, f2: F2, f3: plan instanceof Uint8Array ? plan : answer(F1, F2, plan) },
    { reason },
    options,
  );

/** The initiator has sent F1 and receives F2. */
export const second = (
  comment: string,
  plan: ChallengePlan | Uint8Array,
  reason: string,
  options: Options = {},
): Case =>
  make(
    comment,
    'initiator',
    { f1: F1, f2: plan instanceof Uint8Array ? plan : challenge(F1, plan) },
    { reason },
    options,
  );
