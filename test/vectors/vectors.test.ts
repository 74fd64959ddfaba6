import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { REASONS, type ReasonCode, type Stage } from '../../src/core/reasons.ts';
import { fileOf, GROUPS, type Group, render } from './groups.ts';
import type { Case } from './make/case.ts';
import { runCase } from './run/run.ts';

const groups = Object.keys(GROUPS) as Group[];
const committed = (group: Group): string => readFileSync(fileOf(group), 'utf8');
const casesOf = (group: Group): Case[] => JSON.parse(committed(group)) as Case[];

/** Sources of the core that can refuse; those below only speak *about* codes. */
const CORE = new URL('../../src/core/', import.meta.url);
const ABOUT_CODES = /^(?:reasons|audit\/cross-check|policy\/observed|policy\/analysis\/.*)\.ts$/;
const sources = readdirSync(CORE, { recursive: true, encoding: 'utf8' })
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => file.endsWith('.ts') && !ABOUT_CODES.test(file))
  .map((file) => readFileSync(new URL(file, CORE), 'utf8'))
  .join('\n');

const STAGES: ReadonlySet<Stage> = new Set([
  'parse',
  'identify',
  'handshake',
  'prove',
  'verify',
  'read',
  'decide',
  'trust',
  'audit',
]);

/** Codes of these stages that the core names, and that no pure vector can reach. */
const NOT_PURE: Readonly<Partial<Record<ReasonCode, string>>> = {
  request_proof_busy: 'a memory that is full: how much there is of it is each sidecar’s own',
};

describe('the vectors', () => {
  it.each(groups)('of %s are what the generator makes, byte for byte', (group) => {
    expect(committed(group)).toBe(render(GROUPS[group]()));
  });

  it.each(groups)('of %s have one comment each, and a source', (group) => {
    const cases = casesOf(group);
    expect(new Set(cases.map(({ comment }) => comment)).size).toBe(cases.length);
    expect(cases.every(({ source, now }) => /^\d+(\.\d+)?$/.test(source) && Number.isInteger(now))).toBe(
      true,
    );
  });

  it.each(groups)('of %s hold good cases and bad ones', (group) => {
    const reasons = new Set(casesOf(group).map((each) => each.expect.reason));
    expect(reasons).toContain('ok');
    expect(reasons.size).toBeGreaterThan(1);
  });

  it('cover every reason that the core can give', () => {
    const expected = new Set(groups.flatMap((group) => casesOf(group).map((each) => each.expect.reason)));
    const given = (Object.keys(REASONS) as ReasonCode[]).filter(
      (code) => STAGES.has(REASONS[code].stage) && sources.includes(`'${code}'`),
    );
    expect(given.filter((code) => !expected.has(code) && NOT_PURE[code] === undefined)).toEqual([]);
    expect(Object.keys(NOT_PURE).filter((code) => expected.has(code))).toEqual([]);
    expect([...expected].filter((code) => code !== 'ok' && !Object.hasOwn(REASONS, code))).toEqual([]);
  });
});

describe.each(groups)('%s', (group) => {
  it.each(casesOf(group).map((each) => [each.comment, each] as const))('%s', (_, each) => {
    expect(runCase(group, each)).toEqual(each.expect);
  });
});
