/** Headers that say how a body is to be read, or say again what is in it. */
import { type Denial, deny, grant, type Verdict } from '../verdict.ts';

export interface MediaHeaders {
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
}

/** Of a request, what its message may depend on. */
export interface MessageHeaders extends MediaHeaders {
  readonly mcpProtocolVersion: string | undefined;
  readonly mcpMethod: string | undefined;
  readonly mcpName: string | undefined;
  /** Values of all `Mcp-Param-*`. */
  readonly mcpParams: readonly string[];
}

export interface HttpCall {
  /** The body, whole; empty where there is none. */
  readonly octets: Uint8Array;
  /** Upper-case. */
  readonly method: string;
  readonly headers: MessageHeaders;
}

const READ = {
  'content-type': 'contentType',
  'content-encoding': 'contentEncoding',
  'mcp-protocol-version': 'mcpProtocolVersion',
  'mcp-method': 'mcpMethod',
  'mcp-name': 'mcpName',
} as const;
const PARAM = 'mcp-param-';

/**
 * Picks them from name, value, name, value …, names in any case. Refuses with `message_ambiguous` what occurs twice, and
 * names with `_` for `-`, which servers of the CGI family take for the same.
 */
export const readMessageHeaders = (list: readonly string[]): Verdict<MessageHeaders> => {
  const found: { -readonly [name in keyof MessageHeaders]: MessageHeaders[name] } = {
    contentType: undefined,
    contentEncoding: undefined,
    mcpProtocolVersion: undefined,
    mcpMethod: undefined,
    mcpName: undefined,
    mcpParams: [],
  };
  const params = new Map<string, string>();
  for (let at = 0; at + 1 < list.length; at += 2) {
    const sent = (list[at] ?? '').toLowerCase();
    const name = sent.replaceAll('_', '-');
    const isParam = name.startsWith(PARAM);
    if (!isParam && !Object.hasOwn(READ, name)) continue;
    const value = list[at + 1] ?? '';
    const member = isParam ? undefined : READ[name as keyof typeof READ];
    const occursTwice = member === undefined ? params.has(name) : found[member] !== undefined;
    if (sent !== name || occursTwice)
      return deny(
        'message_ambiguous',
        'a header that says what the message is occurs twice, or with _ for -',
      );
    if (member === undefined) params.set(name, value);
    else found[member] = value;
  }
  return grant({ ...found, mcpParams: [...params.values()] });
};

export const JSON_TYPES: readonly string[] = ['application/json'];
/** The HTTP+JSON binding of A2A 1.0 has a type of its own; its servers take both. */
export const A2A_REST_TYPES: readonly string[] = ['application/json', 'application/a2a+json'];

// One parameter at most, and that one is the charset. A comma would be two values.
const MEDIA = /^([a-z0-9.+-]+\/[a-z0-9.+-]+)[ \t]*(?:;[ \t]*charset=("?)([a-z0-9._-]+)\2)?$/;

/** What a reader would have to decode, or take for something else, is refused: `message_type`, `message_encoding`. */
export const checkMedia = (headers: MediaHeaders, types = JSON_TYPES): Denial | undefined => {
  const { contentType, contentEncoding } = headers;
  if (contentEncoding !== undefined && contentEncoding.toLowerCase() !== 'identity')
    return deny('message_encoding', 'the body has a content coding');
  if (contentType === undefined) return deny('message_type', 'the body has no media type');
  const [, type = '', , charset] = MEDIA.exec(contentType.toLowerCase()) ?? [];
  if (!types.includes(type)) return deny('message_type', `the media type is not ${types.join(' or ')}`);
  if (charset !== undefined && charset !== 'utf-8')
    return deny('message_encoding', 'the charset is not utf-8');
  return undefined;
};
