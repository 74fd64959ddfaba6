/**
 * The join string: all that a new agent must be told, on one line. The token proves it to the verifier, the root's thumbprint
 * proves the verifier to it, and both hold for one SPIFFE ID.
 */
import { decodeBase64url, isBase64urlOf } from '../encoding/base64url.ts';
import { canonicalJson, parseStrictObject } from '../encoding/json.ts';
import { checkMembers, isDigest, isListOf } from '../encoding/members.ts';
import { type AgentId, isAgentId } from '../spiffe-id.ts';
import { deny, grant, type Verdict } from '../verdict.ts';

export interface JoinString {
  /** base64url of 32 random octets. A secret. */
  readonly token: string;
  /** RFC 7638 thumbprint of the root key. */
  readonly root: string;
  readonly id: AgentId;
  /** `host:port` of the verifier, 1–8, the first one first. */
  readonly verifiers: readonly string[];
}

const PREFIX = 'hopgate-join:';
const MAX_BYTES = 4096;
const ADDRESS = /^(?:\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9.-]{1,253}):[1-9][0-9]{0,4}$/;

const MEMBERS = {
  id: isAgentId,
  root: isDigest,
  token: (value: unknown) => typeof value === 'string' && isBase64urlOf(value, 32),
  verifiers: isListOf((address) => ADDRESS.test(address as string), 1, 8),
} as const;

/** `hopgate-join:` and base64url of the JSON of its members. */
export const formatJoinString = ({ token, root, id, verifiers }: JoinString): string =>
  PREFIX + Buffer.from(canonicalJson({ id, root, token, verifiers })).toString('base64url');

/** Reads a join string. Refuses with `claim_*`, `json_*`, `jws_base64url`; repeats nothing of it. */
export const parseJoinString = (text: string): Verdict<JoinString> => {
  if (!text.startsWith(PREFIX) || text.length > MAX_BYTES)
    return deny('claim_invalid', `not a join string: it begins with ${PREFIX} and is one line`);
  const octets = decodeBase64url(text.slice(PREFIX.length));
  if (octets === undefined)
    return deny('jws_base64url', 'the join string is cut or has a character too many; copy the whole line');
  const parsed = parseStrictObject(octets);
  if (!parsed.ok) return deny(parsed.reason, 'the join string is damaged; copy the whole line');
  const closed = checkMembers(parsed.value, MEMBERS, 'the join string');
  return closed.ok ? grant(closed.value as unknown as JoinString) : closed;
};
