/** Constants of the specification (SPEC.md section 15). What an operator may set lives in the config schema. */
export const MAX_LINK_BYTES = 4096;
export const MAX_CHAIN_BYTES = 8192;
export const MAX_LINKS = 16;
export const MAX_TOKEN_BYTES = 4096;
export const MAX_ROLES_BYTES = 32_768;
export const MAX_BUNDLE_BYTES = 8_388_608;
/** Of a policy, as YAML and as JSON; base64url, it takes half of a bundle. */
export const MAX_POLICY_BYTES = 3_145_728;
export const HARD_MAX_DEPTH = 8;
export const DEFAULT_MAX_DEPTH = 5;
export const DEFAULT_LINK_TTL_SECONDS = 7200;
export const HARD_LINK_TTL_SECONDS = 14_400;
/** How long a sidecar decides on without a word of the verifier, and how old a task may get, unless policy says otherwise. */
export const DEFAULT_MAX_STALENESS_SECONDS = 3600;
export const DEFAULT_MAX_TASK_AGE_SECONDS = 86_400;
export const CLOCK_SKEW_SECONDS = 30;
export const MAX_JSON_DEPTH = 8;
/** F2 holds a WIT and a proof, 4096 octets each, and some more. */
export const MAX_FRAME_BODY_BYTES = 12_288;
export const MAX_SCOPE_PATTERNS = 64;
export const MAX_SCOPE_BYTES = 256;
/** Sets within sets, the outermost included. */
export const MAX_SCOPE_SET_NESTING = 64;
/** 9999-12-31T23:59:59Z */
export const MAX_TIME = 253_402_300_799;
/** Of a body that a route reads, unless it says otherwise; and the most that it may say. */
export const DEFAULT_MESSAGE_BYTES = 1_048_576;
export const MAX_MESSAGE_BYTES = 16_777_216;
/** Messages nest deeper than our own documents: schemas of tools, structured content. */
export const MAX_MESSAGE_DEPTH = 64;
/**
 * Objects and arrays of one message: an empty one takes two octets on the wire and two hundred in memory. So many always, and
 * more at one for so many octets of the body.
 */
export const MESSAGE_CONTAINERS = 8192;
export const MESSAGE_OCTETS_PER_CONTAINER = 16;
/** Items of one batch. */
export const MAX_BATCH = 100;
/** Of what the registry says of agents and principals. */
export const MAX_AGENT_ATTRIBUTES = 32;
export const MAX_ATTRIBUTE_NAME_BYTES = 64;
export const MAX_ATTRIBUTE_VALUE_BYTES = 256;
export const MAX_PRINCIPAL_GROUPS = 64;
export const MAX_GROUP_BYTES = 128;
/** Agents and patterns that have attributes, and principals that have groups. */
export const MAX_ATTRIBUTED = 100_000;
/** From `created` to `expires` of the proof that one request brings. */
export const MAX_REQUEST_PROOF_SECONDS = 30;

/** Peers that one report to the verifier tells apart; what happened with more of them stands under `others`. */
export const MAX_REPORTED_PEERS = 128;
