/** A2A, JSON-RPC binding: versions 1.0 and 0.3. */
import { deny, grant, type Verdict } from '../verdict.ts';
import { readA2aCall } from './a2a-params.ts';
import { readJsonBody } from './json-body.ts';
import { readEnvelopes } from './json-rpc.ts';

import { checkMedia, type HttpCall } from './media.ts';
import type { Message, Operation } from './message.ts';
import { operation, single } from './operation.ts';

/** Paths of the public agent card: of 0.3 and 1.0, and of the versions before. */
const CARDS = new Set(['/.well-known/agent-card.json', '/.well-known/agent.json']);
/** GET of an agent card. */
export const AGENT_CARD_OPERATION = 'http:agent-card';

/** GET, which has no body: the agent card, or a path that is the agent's own. */
export const readA2aGet = (octets: Uint8Array, path: string): Verdict<Operation> =>
  octets.length > 0
    ? deny('message_malformed', 'GET with a body')
    : grant(operation('http', CARDS.has(path) ? AGENT_CARD_OPERATION : 'http:GET'));

export interface A2aHttpCall extends HttpCall {
  /** Below the prefix of the route, as sent, without the query: `/.well-known/agent-card.json`, or '' for the prefix itself. */
  readonly path: string;
}

/** Refuses with `message_type`, `message_encoding`, `message_malformed`, `message_ambiguous`. */
export const readA2a = (call: A2aHttpCall, skillMember: string): Verdict<Message> => {
  const { octets, method, path, headers } = call;
  if (method === 'GET') {
    const got = readA2aGet(octets, path);
    return got.ok ? grant(single('a2a', got.value)) : got;
  }
  if (method !== 'POST') return deny('message_malformed', 'A2A over JSON-RPC is spoken with POST');
  const media = checkMedia(headers);
  if (media !== undefined) return media;
  const body = readJsonBody(octets);
  if (!body.ok) return body;
  const envelopes = readEnvelopes(body.value);
  if (!envelopes.ok) return envelopes;
  const operations: Operation[] = [];
  for (const item of envelopes.value.items) {
    // Servers carry out a call without an id all the same, and agents ask nothing of their clients.
    if (item.kind !== 'request') return deny('message_malformed', `A2A knows no ${item.kind}`);
    const called = readA2aCall(item, skillMember);
    if (!called.ok) return called;
    operations.push(...called.value);
  }
  return grant({ protocol: 'a2a', operations, batch: envelopes.value.batch });
};
