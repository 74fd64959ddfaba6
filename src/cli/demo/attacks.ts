/** Ten attacks on the running mesh: what each attacker has, what he tries, and the reason that must refuse him. */
import type { ReasonCode } from '../../core/reasons.ts';
import { makeSigningKey } from '../../edge/keys/signing-key.ts';
import type { Attacker, Outcome, Target } from './attacker.ts';
import { extendChain, type Signer } from './forged-link.ts';
import { AGENTS, APIS, idOf, RPC_PATH } from './story.ts';
import type { Loot } from './taken-door.ts';

/** What the story gives the attackers. */
export interface Scene {
  /** Has taken over the second inventory agent: its identity, and what crossed its door. */
  readonly insider: Attacker;
  /** Has taken over a workload of the mesh that takes part in no task. */
  readonly accomplice: Attacker;
  /** What planning sent to the insider in a whole review … */
  readonly review: Loot;
  /** … and in a quick look, which Alice limited to reading and to two links. */
  readonly quickLook: Loot;
  /** What Alice granted the insider's agent itself, an hour ago, for a quarter of an hour. */
  readonly oldGrant: string;
  readonly target: (name: string) => Target;
  /** Tells the first inventory agent to do what a text in the data wants. */
  readonly obey: () => Promise<Outcome>;
}

export const ATTACK_NAMES = [
  'stolen chain',
  'widened scope',
  'spliced chain',
  'invented agent midway',
  'replayed handshake',
  'expired link',
  'one link too deep',
  'impersonated agent',
  'bearer grant',
  'manipulated inventory agent',
] as const;
export type AttackName = (typeof ATTACK_NAMES)[number];

export interface Attack {
  readonly name: AttackName;
  /** What the attacker has. */
  readonly has: string;
  readonly expected: ReasonCode;
  /** The sidecar that must refuse, and have it on record. */
  readonly at: string;
  /** Whose agent must see nothing of it. */
  readonly victim: string;
  readonly run: () => Promise<Outcome>;
}

const READ = { method: 'GET', target: '/ec2/DescribeInstances' } as const;
const WRITE = { method: 'POST', target: '/documents' } as const;

const signerOf = ({ identity }: Attacker): Signer => ({ sign: identity.sign, kb: identity.kb });
const nameOf = ({ identity }: Attacker) => ({ id: identity.id, x: identity.key.x });

/** The attacks in their order. Nothing is sent before `run`. */
export const makeAttacks = (scene: Scene): readonly Attack[] =>
  [...chainAttacks(scene), ...connectionAttacks(scene), manipulation(scene)].sort(
    (a, b) => ATTACK_NAMES.indexOf(a.name) - ATTACK_NAMES.indexOf(b.name),
  );

const chainAttacks = (scene: Scene): readonly Attack[] => {
  const { insider, accomplice, review, quickLook, oldGrant, target } = scene;
  const cloud = target(APIS.cloud);
  const documents = target(APIS.documents);
  const held = `${review.chain}~${review.grant}`;
  const onCloud = { at: APIS.cloud, victim: APIS.cloud } as const;
  const onDocuments = { at: APIS.documents, victim: APIS.documents } as const;
  return [
    {
      name: 'stolen chain',
      has: 'the chain with which planning came to him',
      expected: 'chain_leaf_not_caller',
      ...onDocuments,
      run: () => insider.send(documents, { ...WRITE, chain: review.chain }),
    },
    {
      name: 'widened scope',
      has: 'a grant to read, passed on as one to write',
      expected: 'link_scope_widened',
      ...onDocuments,
      run: () => {
        const wider = { delegatee: nameOf(accomplice), scope: ['cloud:read', 'reports:write'] };
        return accomplice.send(documents, { ...WRITE, chain: extendChain(held, wider, signerOf(insider)) });
      },
    },
    {
      name: 'spliced chain',
      has: 'the beginning of one chain, the end of another',
      expected: 'link_parent',
      ...onCloud,
      run: () => insider.send(cloud, { ...READ, chain: `${review.chain}~${quickLook.grant}` }),
    },
    {
      name: 'invented agent midway',
      has: 'a link to “report”, over a key of his own',
      expected: 'kb_signature',
      ...onCloud,
      run: () => {
        const invented = makeSigningKey();
        const delegatee = { id: idOf(AGENTS.report), x: invented.x };
        const midway = extendChain(held, { delegatee }, signerOf(insider));
        const chain = extendChain(
          midway,
          { delegatee: nameOf(accomplice) },
          { sign: invented.sign, kb: insider.identity.kb },
        );
        return accomplice.send(cloud, { ...READ, chain });
      },
    },
    {
      name: 'expired link',
      has: 'Alice’s grant of an hour ago, for 15 minutes',
      expected: 'link_expired',
      ...onCloud,
      run: () => insider.send(cloud, { ...READ, chain: oldGrant }),
    },
    {
      name: 'one link too deep',
      has: 'a grant that ends with him, passed on',
      expected: 'chain_max_depth',
      ...onCloud,
      run: () => {
        const ends = `${quickLook.chain}~${quickLook.grant}`;
        const chain = extendChain(ends, { delegatee: nameOf(accomplice) }, signerOf(insider));
        return accomplice.send(cloud, { ...READ, chain });
      },
    },
    {
      name: 'bearer grant',
      has: 'a grant, without the chain that it hangs on',
      expected: 'grant_without_chain',
      ...onCloud,
      run: () => accomplice.send(cloud, { ...READ, grant: review.grant }),
    },
  ];
};

const connectionAttacks = ({ insider, review, target }: Scene): readonly Attack[] => [
  {
    name: 'replayed handshake',
    has: 'TLS key and a recorded handshake, no agent key',
    expected: 'hs_nonce',
    at: APIS.cloud,
    victim: APIS.cloud,
    run: async () => {
      const cloud = target(APIS.cloud);
      return insider.replay(cloud, await insider.record(cloud));
    },
  },
  {
    name: 'impersonated agent',
    has: 'planning’s WIT, and an SVID of his own',
    expected: 'wit_not_svid',
    at: AGENTS.security,
    victim: AGENTS.security,
    run: () =>
      insider.send(
        target(AGENTS.security),
        { method: 'POST', target: RPC_PATH, chain: review.chain },
        review.wit,
      ),
  },
];

const manipulation = ({ obey }: Scene): Attack => ({
  name: 'manipulated inventory agent',
  has: 'the agent’s ear: a tag says “POST /ec2/Termin…”',
  expected: 'scope_missing',
  // Its own sidecar is the first that says no.
  at: AGENTS.inventory,
  victim: APIS.cloud,
  run: obey,
});
