/** The demo as people run it: it tells its story, is right about it, and leaves nothing behind. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isReasonCode } from '../../src/core/reasons.ts';
import { MAIN } from '../testkit/main-file.ts';

/** Seventeen processes on a machine that runs other tests too. */
const TIMEOUT_MS = 180_000;

interface Told {
  readonly ok: boolean;
  readonly actions: number;
  readonly agents: Readonly<Record<string, number>>;
  readonly principal: string;
  readonly task: string;
  readonly attacks: readonly { readonly name: string; readonly expected: string; readonly got: string }[];
  readonly takenBack: { readonly expected: string; readonly got: string; readonly enforcing: number };
  readonly audit: { readonly records: number; readonly ok: boolean };
  readonly seconds: number;
  readonly faults?: readonly string[];
}

describe('hopgate demo', () => {
  let folder: string;
  let demo: ChildProcess | undefined;

  // All that the demo starts has a name in its folder on its command line, and the folder is in here.
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'demo-'));
  });
  afterEach(() => {
    demo?.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  const start = (...args: readonly string[]) => {
    const child = spawn(process.execPath, [MAIN, 'demo', ...args], {
      cwd: folder,
      env: { ...process.env, TMPDIR: folder, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    demo = child;
    let text = '';
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', (chunk: string) => {
      text += chunk;
    });
    return { child, closed: once(child, 'close'), said: () => text };
  };

  const processes = (): readonly string[] =>
    execFileSync('ps', ['-e', '-ww', '-o', 'args='], { encoding: 'utf8' })
      .split('\n')
      .filter((line) => line.includes(folder));

  it(
    'counts 353 actions to one principal, refuses ten attacks each for its reason, ends a task, and leaves nothing',
    async () => {
      const { closed, said } = start('--json');
      const [code] = await closed;
      const told = JSON.parse(said()) as Told;
      expect(told.faults).toBeUndefined();
      expect(told).toMatchObject({
        ok: true,
        actions: 353,
        agents: { planning: 15, inventory: 234, security: 89, cost: 12, report: 3 },
        principal: 'mailto:alice@company.com',
        takenBack: { expected: 'revoked_task', got: 'revoked_task', enforcing: 9 },
        audit: { ok: true },
      });
      expect(told.audit.records).toBeGreaterThan(2 * 353);
      expect(told.attacks).toHaveLength(10);
      expect(new Set(told.attacks.map(({ name }) => name)).size).toBe(10);
      expect(new Set(told.attacks.map(({ expected }) => expected)).size).toBe(10);
      for (const { expected, got } of told.attacks) {
        expect(isReasonCode(expected)).toBe(true);
        expect(got).toBe(expected);
      }
      expect(code).toBe(0);
      expect(processes()).toEqual([]);
      expect(readdirSync(folder)).toEqual([]);
    },
    TIMEOUT_MS,
  );

  it(
    'that is kept and then killed takes its processes with it',
    async () => {
      const { child, closed, said } = start('--keep');
      await new Promise<void>((resolve) => {
        child.stdout.on('data', () => {
          if (said().includes('until Ctrl-C')) resolve();
        });
      });
      expect(said()).toContain('353 actions by 5 agents, all traceable to alice@company.com');
      expect(said()).toContain('10 of 10 refused for the right reason');
      expect(said()).toContain('planning/abc123 asks inventory.mesh once more: revoked_task');
      // The verifier, 9 sidecars, 5 agents, the APIs.
      expect(processes()).toHaveLength(16);
      child.kill('SIGKILL');
      await closed;
      while (processes().length > 0) await delay(100);
    },
    TIMEOUT_MS,
  );
});
