/** The worked examples of SPEC.md section 17, as named octet strings; the same makers as the vectors. */
import { NOW } from './case.ts';
import { answer, CERT, challenge, EXPORTER, frame, hello, sessionOf, transcript } from './handshake-world.ts';
import { CHECKPOINT, DECISION, START, writeLog } from './log-world.ts';
import { b64u, headerOf, idOf, jcs, seedOf, sha256, signingInputOf } from './signing.ts';
import { bind, bindingInput, CLIENT, INVENTORY, ISSUER, makeChain, PLANNER } from './world.ts';

export interface Example {
  readonly title: string;
  readonly text: string;
  /** Name to content, in order. */
  readonly blocks: Readonly<Record<string, string>>;
}

const chain = makeChain({ agents: [CLIENT, PLANNER, INVENTORY] });
const [L0 = '', L1 = '', L2 = ''] = chain;
const payloadOf = (text: string): string => Buffer.from(text.split('.')[1] ?? '', 'base64url').toString();

const aKey: Example = {
  title: 'A key',
  text: `Every key here comes from a seed: SHA-256 of the ASCII \`hopgate vector key: <name>\`. This one is called \`${CLIENT.key.name}\`.`,
  blocks: {
    seed: seedOf(CLIENT.key.name).toString('hex'),
    public: Buffer.from(CLIENT.key.x, 'base64url').toString('hex'),
    jwk: JSON.stringify(CLIENT.key.jwk),
    'thumbprint-input': `{"crv":"Ed25519","kty":"OKP","x":"${CLIENT.key.x}"}`,
    thumbprint: CLIENT.key.jkt,
  },
};

const aLink: Example = {
  title: 'A link',
  text: `L0 of Alice's chain: her key (\`principal alice\`) delegates to her own session, \`${CLIENT.id}\`. The members stand in the order in which this minter wrote them; no reader may sort them.`,
  blocks: {
    header: headerOf('dlink+jwt'),
    payload: payloadOf(L0),
    'signing-input': signingInputOf(L0),
    'link-id': idOf(L0),
    L0,
  },
};

const kbExp = NOW + 7200;
const aBinding: Example = {
  title: 'A key binding',
  text: `The issuer (\`${ISSUER.name}\`) binds the session's name to its key; the session sends it in the link that it signs.`,
  blocks: {
    'kb-header': headerOf('kb+jwt', ISSUER.jkt),
    'kb-payload': jcs({ exp: kbExp, jkt: CLIENT.key.jkt, sub: CLIENT.id }),
    'kb-signing-input': bindingInput(CLIENT, kbExp, ISSUER.jkt),
    kb: JSON.stringify(bind(CLIENT)),
  },
};

const aChain: Example = {
  title: 'A chain of three',
  text: `\`L0~L1~L2\`, presented by \`${INVENTORY.id}\`. Depth 3, principal \`mailto:alice@company.com\`; the task is the id of L0.`,
  blocks: {
    'L1-payload': payloadOf(L1),
    L1,
    'L1-id': idOf(L1),
    'L2-payload': payloadOf(L2),
    L2,
    'L2-id': idOf(L2),
  },
};

const f1 = hello();
const f2 = challenge(f1);
const f3 = answer(f1, f2);
const deadline = Buffer.alloc(8);
deadline.writeBigUInt64BE(BigInt(NOW + 3000));
const proofOf = (sent: Buffer, field: number): string => {
  let at = 4;
  for (let index = 0; index < field; index++) at += 2 + sent.readUInt16BE(at);
  return sent.subarray(at + 2, at + 2 + sent.readUInt16BE(at)).toString();
};
const lessProof = f2.subarray(4, f2.length - 2 - proofOf(f2, 3).length);

const aHandshake: Example = {
  title: 'A handshake',
  text: `\`${PLANNER.id}\` (initiator) and \`${INVENTORY.id}\` (responder). Certificate hashes, exporter and nonces are made up; frames are in hex.`,
  blocks: {
    icert: CERT.initiator,
    rcert: CERT.responder,
    exporter: b64u(EXPORTER),
    F1: f1.toString('hex'),
    h1: sha256(f1).toString('hex'),
    'F2-less-proof': lessProof.toString('hex'),
    'th-R': sha256(sha256(f1), lessProof).toString('hex'),
    'proof-R-payload': payloadOf(proofOf(f2, 3)),
    F2: f2.toString('hex'),
    'th-I': transcript(f1, f2).toString('hex'),
    'proof-I-payload': payloadOf(proofOf(f3, 0)),
    F3: f3.toString('hex'),
    F4: frame(4, [Buffer.of(0), deadline]).toString('hex'),
    'session-id': sessionOf(f1, f2),
  },
};

const [start = '', decision = '', checkpoint = ''] = writeLog([START, DECISION, CHECKPOINT]);
const aLog: Example = {
  title: 'An audit log',
  text: 'Three lines, each followed by LF: a start, a denial, a checkpoint that signs both.',
  blocks: {
    'line-1': start,
    'line-2': decision,
    'line-3': checkpoint,
    'checkpoint-payload': payloadOf(String((JSON.parse(checkpoint) as { proof: string }).proof)),
  },
};

export const EXAMPLES: readonly Example[] = [aKey, aLink, aBinding, aChain, aHandshake, aLog];
