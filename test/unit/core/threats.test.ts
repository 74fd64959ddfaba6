import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SPECIFICATION } from '../../vectors/spec-sections.ts';

const REPOSITORY = new URL('../../../', import.meta.url);
const section = readFileSync(SPECIFICATION, 'utf8').split('## 18 Threat model').at(-1) ?? '';

/** Attacker, must not, may, shown by. */
const rows = section
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .slice(2)
  .map((line) => line.slice(2, -2).split(' | '));
const filesOf = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, file = '']) => file);

describe('the threat model', () => {
  it('says of each attacker what it must not, what it may, and which tests show it', () => {
    expect(rows.length).toBeGreaterThanOrEqual(6);
    for (const row of rows) {
      expect(row).toHaveLength(4);
      expect(row.every((cell) => cell.trim() !== '')).toBe(true);
    }
  });

  it.each(rows.map(([attacker = '', , , shownBy = '']) => [attacker, shownBy] as const))(
    'names tests that exist: %s',
    (_, shownBy) => {
      const files = filesOf(shownBy);
      expect(files.length).toBeGreaterThan(0);
      expect(files.filter((file) => !/^test\/.+\.test\.ts$/.test(file))).toEqual([]);
      expect(files.filter((file) => !existsSync(new URL(file, REPOSITORY)))).toEqual([]);
    },
  );

  it('names no test twice for one attacker', () => {
    for (const [, , , shownBy = ''] of rows) {
      const files = filesOf(shownBy);
      expect(new Set(files).size).toBe(files.length);
    }
  });
});
