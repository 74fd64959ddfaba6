/** A trace as a tree for people. */
import type { Trace, TraceNode } from '../core/audit/trace.ts';
import { type AgentId, trustDomainOf } from '../core/spiffe-id.ts';
import { localDate, localTime, shortId } from './log-columns.ts';
import { paint, printable } from './terminal.ts';

interface TreeRow {
  readonly name: string;
  readonly node: TraceNode;
}

const rowsOf = (nodes: readonly TraceNode[], domain: string, indent = ''): readonly TreeRow[] =>
  nodes.flatMap((node, index) => {
    const isLast = index === nodes.length - 1;
    const name = `${indent}${isLast ? '└─ ' : '├─ '}${shortId(node.agent, domain)}`;
    return [{ name, node }, ...rowsOf(node.children, domain, `${indent}${isLast ? '   ' : '│  '}`)];
  });

const countOf = (count: number, one: string): string => `${count} ${one}${count === 1 ? '' : 's'}`;

/** As many scopes as fit, most used first. */
const scopesOf = ({ scopes }: TraceNode, columns: number): string => {
  let text = '';
  for (const [index, { pattern }] of scopes.entries()) {
    const next = text === '' ? pattern : `${text}, ${pattern}`;
    if (index > 0 && next.length + 3 > columns) return `${text}, …`;
    text = next;
  }
  return text;
};

const deniedOf = ({ denied }: TraceNode): string => {
  if (denied.length === 0) return '';
  const total = denied.reduce((sum, { count }) => sum + count, 0);
  const reasons = denied.map(({ reason, count }) => (count === 1 ? reason : `${reason} ×${count}`));
  return `${total} denied: ${reasons.join(', ')}`;
};

const seconds = (ms: number): string => localTime(ms).slice(0, 8);

/** `13:59:58 – 14:00:41`, with dates where it goes over midnight. */
const spanOf = ({ first, last }: Trace): string => {
  if (!Number.isFinite(first)) return '';
  const from = localDate(first);
  const to = localDate(last);
  return from === to
    ? `${seconds(first)} – ${seconds(last)}`
    : `${from} ${seconds(first)} – ${to} ${seconds(last)}`;
};

/** The tree of a task, with counts, scopes and denials for each agent, and a sentence about them all. */
export const renderTrace = (trace: Trace, terminalColumns = 120): string => {
  const principal = printable(trace.principal);
  const domain = trace.roots[0] === undefined ? '' : trustDomainOf(trace.roots[0].agent as AgentId);
  const rows = rowsOf(trace.roots, domain);
  const nameWidth = Math.max(0, ...rows.map(({ name }) => name.length));
  const actions = rows.map(({ node }) => countOf(node.actions, 'action'));
  const actionsWidth = Math.max(0, ...actions.map((text) => text.length));
  const lines = rows.map(({ name, node }, index) => {
    const head = `${printable(name).padEnd(nameWidth)}   ${(actions[index] ?? '').padStart(actionsWidth)}`;
    const denied = deniedOf(node);
    const scopes = scopesOf(node, terminalColumns - head.length - 6 - denied.length);
    return [head, scopes, denied === '' ? '' : paint('red', denied)]
      .filter((part) => part !== '')
      .join('   ');
  });
  return [
    `${paint('bold', `task ${trace.task}`)}  ${principal}   ${spanOf(trace)}`,
    principal,
    ...lines,
    '',
    sentenceFor(trace, principal.replace(/^mailto:/, '')),
  ].join('\n');
};

const sentenceFor = ({ actions, agents, denials, untraced }: Trace, principal: string): string => {
  const made = `${countOf(actions, 'action')} by ${countOf(agents, 'agent')}`;
  const denied = denials === 0 ? '' : `; ${countOf(denials, 'request')} denied`;
  if (actions === 0) return `No actions${denied}.`;
  return untraced === 0
    ? paint('green', `${made}, all traceable to ${principal}${denied}`)
    : paint('red', `${made}, of which ${untraced} can’t be traced to ${principal}${denied}`);
};
