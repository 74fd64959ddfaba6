/** A server that offers tools by the thousand: it crowds nothing out, and fills no log. */
import { describe, expect, test } from 'vitest';
import { toolsOf } from '../../../src/core/message/mcp-server.ts';
import type { RouteRule } from '../../../src/core/policy/model.ts';
import { McpWatch } from '../../../src/hop/mcp-watch.ts';
import type { Permit } from '../../../src/hop/permit.ts';
import { ToolWatch } from '../../../src/hop/tool-watch.ts';
import { testAgent } from '../../testkit/core-world.ts';

const callee = testAgent('inventory').id;
const DIGEST = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';
const ROUTE = {
  name: 'mcp',
  tools: { filter: false, approved: { report: DIGEST }, changed: 'deny', unlisted: 'flag' },
} as unknown as RouteRule;
const permit = { route: ROUTE, input: { callee } } as unknown as Permit;
const listing = (names: readonly string[]) =>
  JSON.stringify({ jsonrpc: '2.0', id: 1, result: { tools: names.map((name) => ({ name })) } });
const many = (count: number, prefix = 'tool') => Array.from({ length: count }, (_, at) => `${prefix}${at}`);

describe('tools by the thousand', () => {
  test('more than a thousand in one answer are refused', () => {
    const result = (count: number) => toolsOf({ tools: many(count).map((name) => ({ name })) });
    expect(result(1000).ok).toBe(true);
    expect(result(1001)).toMatchObject({ reason: 'response_malformed' });
  });

  test('what an approved tool was last is known however many others are offered', () => {
    const watch = new ToolWatch();
    expect(new McpWatch(permit, watch).pass(listing(['report'])).ok).toBe(true);
    const seen = watch.last(callee, 'mcp', 'report');
    expect(seen).toHaveLength(43);
    for (let page = 0; page < 70; page++) new McpWatch(permit, watch).pass(listing(many(1000, `p${page}.`)));
    expect(watch.last(callee, 'mcp', 'report')).toBe(seen);
    expect(watch.last(callee, 'mcp', 'p0.1')).toBeUndefined();
  });

  test('the record has a hundred of those that nobody approved, and the one that changed', () => {
    const watch = new McpWatch(permit, new ToolWatch());
    watch.pass(listing([...many(900), 'report']));
    expect(watch.tools).toHaveLength(101);
    expect(watch.tools.at(-1)).toMatchObject({ change: 'changed', name: 'report' });
  });

  test('a name is cut where it stays text', () => {
    const watch = new McpWatch(permit, new ToolWatch());
    watch.pass(listing([`${'x'.repeat(127)}\u{1f600}`]));
    const [note] = watch.tools;
    expect(note?.name).toHaveLength(128);
    expect(note?.name.isWellFormed()).toBe(true);
  });
});
