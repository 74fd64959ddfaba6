/**
 * JSON of bodies, read so that every reader agrees (SPEC.md section 13.1). The rules go further than for our own documents,
 * since we don't know the agent's reader: where two common ones could differ, the body is refused.
 */
import { type Json, type JsonRules, readJson, readJsonText } from '../encoding/json.ts';
import { MAX_MESSAGE_DEPTH, MESSAGE_CONTAINERS, MESSAGE_OCTETS_PER_CONTAINER } from '../limits.ts';
import type { Verdict } from '../verdict.ts';

const REQUEST: JsonRules = {
  maxDepth: MAX_MESSAGE_DEPTH,
  // What was asked is kept as long as its answer comes; answers are not kept.
  maxContainers: (characters) => Math.max(MESSAGE_CONTAINERS, characters / MESSAGE_OCTETS_PER_CONTAINER),
  numbers: 'same',
  names: 'same',
  reasons: {
    // Another encoding, or a byte order mark that some readers take for one.
    utf8: 'message_encoding',
    // Replaced by some, kept by others.
    surrogate: 'message_ambiguous',
    syntax: 'message_malformed',
    number: 'message_ambiguous',
    depth: 'message_malformed',
    containers: 'message_malformed',
    member: 'message_ambiguous',
  },
};

/**
 * What an agent answers is for its caller, and little of it is read here: numbers and names of its data are its own
 * business, so two names may differ in case alone. The names that are read are looked at by whoever reads them.
 */
const RESPONSE: JsonRules = {
  maxDepth: MAX_MESSAGE_DEPTH,
  numbers: 'finite',
  names: 'distinct',
  reasons: {
    utf8: 'response_malformed',
    surrogate: 'response_malformed',
    syntax: 'response_malformed',
    number: 'response_malformed',
    depth: 'response_malformed',
    containers: 'response_malformed',
    member: 'response_malformed',
  },
};

/** The body of a request: one JSON value. Refuses with `message_malformed`, `message_ambiguous`, `message_encoding`. */
export const readJsonBody = (octets: Uint8Array): Verdict<Json> => readJson(octets, REQUEST);

/** The body of a response, or the data of one event of a stream. Refuses with `response_malformed`. */
export const readJsonResponse = (text: string): Verdict<Json> => readJsonText(text, RESPONSE);
