/**
 * MCP over streamable HTTP, what a client sends: POST of messages, GET that opens a stream, DELETE that ends a session.
 * Revision 2026-07-28 says some of the body again in headers, on which gateways route; one that disagrees is refused.
 */
import type { Json, JsonObject } from '../encoding/json.ts';
import { isObject } from '../encoding/members.ts';
import { type Denial, deny, grant, type Verdict } from '../verdict.ts';
import { readJsonBody } from './json-body.ts';
import { type Envelope, type Envelopes, readEnvelopes } from './json-rpc.ts';
import { readMcpParams } from './mcp-methods.ts';
import { checkMedia, type HttpCall, type MessageHeaders } from './media.ts';
import type { Message, Operation } from './message.ts';
import { operation, single } from './operation.ts';
import { misspelling, readNames } from './spelling.ts';

/** Revisions are dates and sort as such; batches were of this one alone. */
const BATCH_REVISION = '2025-03-26';
const REVISION_MEMBER = 'io.modelcontextprotocol/protocolVersion';
const META = readNames(REVISION_MEMBER);

/** The operations of one envelope. What it carries besides is decided as if it were sent alone. */
const readOperations = (envelope: Envelope): Verdict<readonly Operation[]> => {
  if (envelope.kind === 'response')
    return envelope.id === undefined
      ? deny('message_malformed', 'an answer that says not to what')
      : grant([operation('response', 'response', { id: envelope.id })]);
  const { kind, method, params } = envelope;
  const id = envelope.kind === 'request' ? envelope.id : undefined;
  const read = readMcpParams(method, params);
  if (!read.ok) return read;
  const operations = read.value.map((named) => operation(kind, method, { ...named, id }));
  // Since 2026-07-28 answers to the server's requests stand in the parameters of the call that is tried again.
  const answers = params?.inputResponses;
  if (answers === undefined) return grant(operations);
  return isObject(answers)
    ? grant([...operations, operation('response', 'response')])
    : deny('message_malformed', 'inputResponses is no object');
};

const ENCODED = /^=\?base64\?((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)\?=$/;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A header value, decoded if it is in the base64 form that the revision has for values which are no plain ASCII. */
const decodeHeader = (value: string): string | undefined => {
  if (!value.startsWith('=?') || !value.endsWith('?=')) return value;
  const [, base64] = ENCODED.exec(value) ?? [];
  if (base64 === undefined) return undefined;
  const octets = Buffer.from(base64, 'base64');
  if (octets.toString('base64') !== base64) return undefined;
  try {
    return utf8.decode(octets);
  } catch {
    return undefined;
  }
};

/** As JSON spells numbers: `Number` would read blanks and `0x10` too. */
const DECIMAL = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;

/** The values within arguments, collected once: there may be many, and many headers. */
class Values {
  private readonly texts = new Set<string>();
  private readonly numbers = new Set<number>();

  constructor(value: Json) {
    this.add(value);
  }

  /** Whether one of them is what a `Mcp-Param-` header repeats. Which one, only the tool knows. */
  hold(text: string): boolean {
    return this.texts.has(text) || (DECIMAL.test(text) && this.numbers.has(Number(text)));
  }

  private add(value: Json): void {
    if (value === null) return;
    if (typeof value === 'object') for (const one of Object.values(value)) this.add(one as Json);
    else if (typeof value === 'number') this.numbers.add(value);
    else this.texts.add(String(value));
  }
}

const disagrees = (header: string): Denial =>
  deny('message_ambiguous', `${header} says another thing than the body`);

const checkRevision = (params: JsonObject | undefined, headers: MessageHeaders): Denial | undefined => {
  const meta = params?._meta;
  if (meta === undefined) return undefined;
  if (!isObject(meta)) return deny('message_malformed', '_meta is no object');
  const fault = misspelling(meta, META, '_meta');
  if (fault !== undefined) return fault;
  const claimed = meta[REVISION_MEMBER];
  if (claimed === undefined) return undefined;
  if (typeof claimed !== 'string') return deny('message_malformed', 'the revision in _meta is no string');
  return headers.mcpProtocolVersion === undefined || headers.mcpProtocolVersion === claimed
    ? undefined
    : disagrees('MCP-Protocol-Version');
};

const checkHeaders = (
  envelope: Envelope,
  first: Operation | undefined,
  headers: MessageHeaders,
): Denial | undefined => {
  const fault = envelope.kind === 'response' ? undefined : checkRevision(envelope.params, headers);
  if (fault !== undefined) return fault;
  if (headers.mcpMethod !== undefined && headers.mcpMethod !== first?.method) return disagrees('Mcp-Method');
  if (headers.mcpName !== undefined) {
    const name = first === undefined ? '' : first.tool || first.prompt || first.resource || first.taskId;
    if (name === '' || decodeHeader(headers.mcpName) !== name) return disagrees('Mcp-Name');
  }
  if (headers.mcpParams.length === 0) return undefined;
  const values = new Values(first?.arguments ?? null);
  const isThere = headers.mcpParams.every((param) => {
    const text = decodeHeader(param);
    return text !== undefined && values.hold(text);
  });
  return isThere ? undefined : disagrees('Mcp-Param');
};

const checkBatch = ({ items }: Envelopes, headers: MessageHeaders): Denial | undefined => {
  const { mcpProtocolVersion, mcpMethod, mcpName, mcpParams } = headers;
  if (mcpProtocolVersion !== undefined && mcpProtocolVersion !== BATCH_REVISION)
    return deny('message_malformed', `a batch, which only revision ${BATCH_REVISION} allows`);
  if (mcpMethod !== undefined || mcpName !== undefined || mcpParams.length > 0)
    return deny('message_ambiguous', 'a batch, and a header that names one message');
  return items.some((item) => item.kind !== 'response' && item.method === 'initialize')
    ? deny('message_malformed', 'initialize within a batch')
    : undefined;
};

const readPosted = (octets: Uint8Array, headers: MessageHeaders): Verdict<Message> => {
  const media = checkMedia(headers);
  if (media !== undefined) return media;
  const body = readJsonBody(octets);
  if (!body.ok) return body;
  const envelopes = readEnvelopes(body.value);
  if (!envelopes.ok) return envelopes;
  const { items, batch } = envelopes.value;
  const fault = batch ? checkBatch(envelopes.value, headers) : undefined;
  if (fault !== undefined) return fault;
  const operations: Operation[] = [];
  for (const item of items) {
    const read = readOperations(item);
    if (!read.ok) return read;
    const wrong = checkHeaders(item, read.value[0], headers);
    if (wrong !== undefined) return wrong;
    operations.push(...read.value);
  }
  return grant({ protocol: 'mcp', operations, batch });
};

/**
 * What a client sends. One message may be several operations: each resource of `subscriptions/listen`, and `response` besides
 * a call that carries `inputResponses`. Refuses with `message_type`, `message_encoding`, `message_malformed`, `message_ambiguous`.
 */
export const readMcp = ({ octets, method, headers }: HttpCall): Verdict<Message> => {
  if (method === 'POST') return readPosted(octets, headers);
  if (method !== 'GET' && method !== 'DELETE')
    return deny('message_malformed', 'MCP is spoken with POST, GET and DELETE');
  if (octets.length > 0) return deny('message_malformed', `${method} with a body`);
  return grant(single('mcp', operation('http', `http:${method}`)));
};
