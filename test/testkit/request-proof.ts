/** A signed request for tests of the core: from the planner to the inventory, on one connection, now. */
import type { SignedRequest } from '../../src/core/http-signature/components.ts';
import { type ProofParameters, signRequest } from '../../src/core/http-signature/sign.ts';
import type { ProofContext, ProvingRequest } from '../../src/core/http-signature/verify.ts';
import { ISSUERS, NOW, permitted, type TestAgent, testAgent } from './core-world.ts';

export const caller: TestAgent = testAgent('planner');
export const callee: TestAgent = testAgent('inventory');
export const EXPORTER: Buffer = Buffer.alloc(32, 7);

export const REQUEST: SignedRequest = {
  method: 'GET',
  authority: 'inventory.company.com:14443',
  target: '/ec2/instances?region=eu-central-1',
  fields: new Map([['delegation-chain', 'a.b.c']]),
};

export interface SignedChanges {
  readonly request?: Partial<SignedRequest>;
  readonly fields?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  readonly parameters?: Partial<ProofParameters>;
}

export const parametersOf = (changes: Partial<ProofParameters> = {}): ProofParameters => ({
  audience: callee.id,
  exporter: EXPORTER,
  wit: caller.wit,
  sign: caller.key.sign,
  nonce: 'a-nonce-of-one-request',
  created: NOW,
  expires: NOW + 20,
  ...changes,
});

/** As the callee reads it. */
export const signed = ({ request, fields = {}, body, parameters }: SignedChanges = {}): ProvingRequest => {
  const own = { ...REQUEST, ...request };
  const whole = { ...own, fields: new Map([...own.fields, ...Object.entries(fields)]) };
  return received(whole, permitted(signRequest(whole, body, parametersOf(parameters))), body !== undefined);
};

/** The headers of a list, as the callee reads them. */
export const received = (
  request: SignedRequest,
  list: readonly string[],
  hasBody: boolean,
): ProvingRequest => {
  const all = new Map(request.fields);
  for (let at = 0; at < list.length; at += 2) all.set(list[at] ?? '', list[at + 1] ?? '');
  const signatureInput = all.get('signature-input');
  const signature = all.get('signature');
  all.delete('signature-input');
  all.delete('signature');
  return { ...request, fields: all, signatureInput, signature, hasBody };
};

export const contextOf = (changes: Partial<ProofContext> = {}): ProofContext => ({
  own: callee.holder,
  peerId: caller.id,
  exporter: EXPORTER,
  issuers: ISSUERS,
  now: NOW,
  startedAt: NOW - 3600,
  ...changes,
});
