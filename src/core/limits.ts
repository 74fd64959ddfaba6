/** Constants of the specification (SPEC.md section 15). What an operator may set lives in the config schema. */
export const MAX_LINK_BYTES = 4096;
export const MAX_CHAIN_BYTES = 8192;
export const MAX_LINKS = 16;
export const MAX_TOKEN_BYTES = 4096;
export const MAX_ROLES_BYTES = 16_384;
export const MAX_BUNDLE_BYTES = 1_048_576;
export const HARD_MAX_DEPTH = 8;
export const DEFAULT_MAX_DEPTH = 5;
export const DEFAULT_LINK_TTL_SECONDS = 7200;
export const HARD_LINK_TTL_SECONDS = 14_400;
export const CLOCK_SKEW_SECONDS = 30;
export const MAX_JSON_DEPTH = 8;
/** F2 holds a WIT and a proof, 4096 octets each, and some more. */
export const MAX_FRAME_BODY_BYTES = 12_288;
export const MAX_SCOPE_PATTERNS = 64;
export const MAX_SCOPE_BYTES = 256;
/** 9999-12-31T23:59:59Z */
export const MAX_TIME = 253_402_300_799;
