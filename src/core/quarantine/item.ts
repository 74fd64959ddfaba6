/** A request that was kept aside for a human: its name, and what may be known of it without reading its body (SPEC.md section 13). */
import { canonicalJson, type Json, type JsonObject, parseStrictObject } from '../encoding/json.ts';
import { sha256Base64url } from '../encoding/jws.ts';
import { checkMembers, isDigest, isInteger, isListOf, isString, isTime } from '../encoding/members.ts';
import { isCanonicalPath } from '../policy/target.ts';
import { type AgentId, isAgentId, isPrincipal } from '../spiffe-id.ts';
import { deny, grant, type Verdict } from '../verdict.ts';

/** All of a request that its release will be for, but for the octets of its body. */
export interface QuarantinedRequest {
  readonly caller: AgentId;
  readonly callee: AgentId;
  readonly principal: string;
  /**
   * Link id of the task, and not of the leaf: people take longer than links live, and an agent in the middle
   * gets a new leaf with each request that it works for.
   */
  readonly task: string;
  readonly method: string;
  /** Canonical, with its query. */
  readonly target: string;
  /** Content-Type and Content-Encoding as sent, '' where there is none: under others, the octets would mean something else. */
  readonly type: string;
  readonly encoding: string;
}

/** What an id commits to. */
export interface QuarantinedFacts extends QuarantinedRequest {
  /** base64url SHA-256 of the octets of the body. */
  readonly body: string;
  /** Who keeps it. */
  readonly sidecar: AgentId;
  /** base64url of 32 octets that only the sidecar and the reviewers know: from an id alone nobody can try out bodies. */
  readonly salt: string;
}

/** The same for every time that a request is sent; no two that differ in anything have one. */
export const quarantineId = ({
  body,
  callee,
  caller,
  encoding,
  method,
  principal,
  salt,
  sidecar,
  target,
  task,
  type,
}: QuarantinedFacts): string =>
  sha256Base64url(
    canonicalJson({
      body,
      callee,
      caller,
      encoding,
      method,
      principal,
      salt,
      sidecar,
      target,
      task,
      type,
    }),
  );

/** What lies in clear beside the ciphertext, authenticated with it: for operators, who may not read bodies. */
export interface QuarantineLabel {
  readonly callee: AgentId;
  readonly caller: AgentId;
  /** Ids of patterns, never text. */
  readonly findings: readonly string[];
  readonly hop: string;
  readonly id: string;
  readonly method: string;
  /** Octets of the body. */
  readonly octets: number;
  /** Without query. */
  readonly path: string;
  readonly principal: string;
  /** Thumbprints of the reviewers who can read it. */
  readonly readers: readonly string[];
  readonly rule: string;
  readonly sidecar: AgentId;
  readonly task: string;
  /** Seconds: when it was kept. */
  readonly time: number;
  /** Media type without parameters; '' where there is none in form. */
  readonly type: string;
}

/** What is sealed beside the body. */
export type QuarantineHead = Pick<QuarantinedFacts, 'encoding' | 'salt' | 'target' | 'type'>;

export const MAX_FINDINGS = 64;
const FINDING = /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/;
const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/;
const MEDIA_TYPE = /^[!#$&^_.+a-z0-9-]{1,127}\/[!#$&^_.+a-z0-9-]{1,127}$/;

export const isFinding = (value: Json): boolean => typeof value === 'string' && FINDING.test(value);

/** Of a Content-Type, without its parameters, which may hold anything; '' where it has not the form of one. */
export const mediaTypeOf = (contentType: string): string => {
  const [essence = ''] = contentType.split(';', 1);
  const type = essence.trim().toLowerCase();
  return MEDIA_TYPE.test(type) ? type : '';
};

const matches =
  (form: RegExp) =>
  (value: Json): boolean =>
    typeof value === 'string' && form.test(value);

const LABEL_MEMBERS = {
  callee: isAgentId,
  caller: isAgentId,
  findings: isListOf(isFinding, 0, MAX_FINDINGS),
  hop: isString,
  id: isDigest,
  method: matches(METHOD),
  octets: isInteger(0, Number.MAX_SAFE_INTEGER),
  path: (value: Json): boolean => typeof value === 'string' && isCanonicalPath(value),
  principal: (value: Json): boolean => typeof value === 'string' && isPrincipal(value),
  readers: isListOf(isDigest, 1, 64),
  rule: isString,
  sidecar: isAgentId,
  task: isDigest,
  time: isTime,
  type: (value: Json): boolean => value === '' || matches(MEDIA_TYPE)(value),
} as const;

const HEAD_MEMBERS = { encoding: isString, salt: isDigest, target: isString, type: isString } as const;

const parseClosed = <T>(octets: Uint8Array, members: Parameters<typeof checkMembers>[1]): Verdict<T> => {
  const parsed = parseStrictObject(octets);
  if (!parsed.ok) return parsed;
  const closed: Verdict<JsonObject> = checkMembers(parsed.value, members, 'what was kept');
  return closed.ok ? grant(closed.value as unknown as T) : closed;
};

/** Refuses with parse faults. */
export const parseLabel = (octets: Uint8Array): Verdict<QuarantineLabel> =>
  parseClosed(octets, LABEL_MEMBERS);

/** A label that {@link parseLabel} will read. Refuses with parse faults. */
export const writeLabel = (label: QuarantineLabel): Verdict<Buffer> => {
  const octets = Buffer.from(canonicalJson(label));
  const read = parseLabel(octets);
  return read.ok ? grant(octets) : read;
};

const LF = 0x0a;

/** What is sealed: the head as one line of JSON, and behind it the body. */
export const joinSealed = ({ encoding, salt, target, type }: QuarantineHead, body: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`${canonicalJson({ encoding, salt, target, type })}\n`), body]);

/** Refuses with parse faults. */
export const splitSealed = (
  octets: Buffer,
): Verdict<{ readonly head: QuarantineHead; readonly body: Buffer }> => {
  const end = octets.indexOf(LF);
  if (end === -1) return deny('json_syntax', 'what was kept has no head');
  const head = parseClosed<QuarantineHead>(octets.subarray(0, end), HEAD_MEMBERS);
  return head.ok ? grant({ head: head.value, body: octets.subarray(end + 1) }) : head;
};
