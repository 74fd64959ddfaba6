/** Content rules for tests, and the ways in which a body may come. */
import { type ContentSelection, compileContent } from '../../src/core/content/compile.ts';
import { ContentInspector } from '../../src/core/content/inspect-stream.ts';
import type { BodyHead, ContentDenial, Finding } from '../../src/core/content/model.ts';
import type { ContentRule } from '../../src/core/policy/model.ts';
import { type AgentId, type IdPattern, isIdPattern, parseAgentId } from '../../src/core/spiffe-id.ts';

const agent = (text: string): AgentId => {
  const id = parseAgentId(text);
  if (id === undefined) throw new Error(`${text} is no agent ID`);
  return id;
};

export const CALLEE = agent('spiffe://company.com/agent/finance/1');
export const OTHER_CALLEE = agent('spiffe://company.com/agent/weather/1');

export const calleePattern = (id: AgentId): IdPattern => {
  if (!isIdPattern(id)) throw new Error(`${id} is no pattern`);
  return id;
};

export const contentRule = (given: Partial<ContentRule>): ContentRule => ({
  name: 'rule',
  directions: ['request', 'response'],
  callees: undefined,
  routes: undefined,
  detectors: undefined,
  patterns: undefined,
  types: undefined,
  maxBytes: undefined,
  action: 'deny',
  mode: 'hold',
  holdBytes: 1_048_576,
  ...given,
});

export const selectionOf = (...rules: readonly Partial<ContentRule>[]): ContentSelection => {
  const content = compileContent(rules.map((rule, at) => contentRule({ name: `rule-${at}`, ...rule })));
  const selection = content.select('request', CALLEE, 'route');
  if (selection === undefined) throw new Error('no rule applies');
  return selection;
};

export const JSON_HEAD: BodyHead = { contentType: 'application/json', contentEncoding: undefined };
export const TEXT_HEAD: BodyHead = { contentType: 'text/plain', contentEncoding: undefined };
export const EVENTS_HEAD: BodyHead = { contentType: 'text/event-stream', contentEncoding: undefined };

export const octetsOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** The octets in chunks that end at these places. */
export const chunksOf = (octets: Uint8Array, cuts: readonly number[]): Uint8Array[] => {
  const at = [...new Set(cuts.map((cut) => cut % (octets.length + 1)))].sort((a, b) => a - b);
  return [...at, octets.length].map((end, index) => octets.slice(at[index - 1] ?? 0, end));
};

export interface Streamed {
  readonly passed: Uint8Array;
  readonly denial: ContentDenial | undefined;
  readonly findings: readonly Finding[];
}

/** What becomes of a body that comes in chunks; after a denial nothing more is sent. */
export const stream = (
  selection: ContentSelection,
  head: BodyHead,
  chunks: readonly Uint8Array[],
): Streamed => {
  const inspector = new ContentInspector(selection, head);
  const passed: Uint8Array[] = [];
  let denial: ContentDenial | undefined;
  for (const step of [...chunks.map((chunk) => () => inspector.push(chunk)), () => inspector.end()]) {
    if (denial !== undefined) break;
    const given = step();
    passed.push(...given.pass);
    denial = given.denial;
  }
  return { passed: new Uint8Array(Buffer.concat(passed)), denial, findings: inspector.findings };
};
