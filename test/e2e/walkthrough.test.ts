/** The README's walkthrough, run line by line in an empty directory: verifier, two agents, a human, a task, its end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MAIN } from '../testkit/main-file.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TIMEOUT_MS = 240_000;
/** What the walkthrough listens on: the defaults of everything, since nobody would configure them first. */
const PORTS = [14_300, 14_301, 14_443, 14_453, 14_001, 14_011, 14_020, 14_030, 8081];

interface Step {
  /** As it stands in the README, over several lines where it does there. */
  readonly line: string;
  readonly isTerminal: boolean;
  /** What its output must contain. */
  readonly expected: string | undefined;
}

/** The lines of all shell blocks of a section, in their order. */
const stepsOf = (readme: string, from: string, to: string): readonly Step[] => {
  const start = readme.indexOf(`\n${from}\n`);
  const section = readme.slice(start, readme.indexOf(`\n${to}\n`, start));
  const lines = [...section.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block = '']) => block.split('\n'));
  const steps: Step[] = [];
  let open = '';
  for (const line of lines) {
    if (line.trim() === '') continue;
    if (line.endsWith('|')) {
      open += `${line}\n`;
      continue;
    }
    const comment = /\s# (.*)$/.exec(line)?.[1] ?? '';
    steps.push({
      line: open + line,
      isTerminal: /in (a terminal of its own|another)$/.test(comment),
      expected: /^→ (.*)$/.exec(comment)?.[1],
    });
    open = '';
  }
  return steps;
};

const READY: readonly (readonly [RegExp, string])[] = [
  [/^hopgate verifier/, 'Next, in another terminal'],
  [/^hopgate sidecar/, '"sidecar started"'],
  [/^python3/, 'Serving HTTP'],
];

let folder: string;
let home: string;
let env: NodeJS.ProcessEnv;
const running: ChildProcess[] = [];

/** A process in the directory of the walkthrough, and all that it has written to either output. */
class Shell {
  said = '';
  readonly child: ChildProcess;
  private readonly waiting = new Set<() => void>();

  constructor(args: readonly string[]) {
    // A group of its own, so that what it starts ends with it.
    this.child = spawn('bash', args, { cwd: home, env, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    running.push(this.child);
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.said += text;
        for (const look of this.waiting) look();
      });
    }
    this.child.once('close', () => {
      for (const look of this.waiting) look();
    });
  }

  /** What came after `from` when `text` is there. Rejects when the process ends without it. */
  says(text: string | RegExp, from = 0): Promise<string> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const since = this.said.slice(from);
        const isThere = typeof text === 'string' ? since.includes(text) : text.test(since);
        const isOver = this.child.exitCode !== null || this.child.signalCode !== null;
        if (!isThere && !isOver) return;
        this.waiting.delete(look);
        if (isThere) resolve(since);
        else reject(new Error(`it ended without "${String(text)}":\n${since}`));
      };
      this.waiting.add(look);
      look();
    });
  }

  /** Runs a line in this shell: what it wrote, and how it ended. */
  async run(line: string): Promise<{ readonly output: string; readonly status: number }> {
    const from = this.said.length;
    this.child.stdin?.write(`${line}\necho "<<$?>>"\n`);
    const said = await this.says(/<<\d+>>\n/, from);
    const [end = '', status = ''] = /<<(\d+)>>\n/.exec(said) ?? [];
    return { output: said.replace(end, ''), status: Number(status) };
  }
}

const isTaken = async (port: number): Promise<boolean> => {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
};

beforeAll(async () => {
  for (const port of PORTS)
    if (await isTaken(port))
      throw new Error(`something listens on 127.0.0.1:${port}, which the walkthrough needs`);
  folder = mkdtempSync(path.join(tmpdir(), 'hopgate-walk-'));
  home = path.join(folder, 'empty');
  mkdirSync(home);
  // As it is when it is installed.
  const command = path.join(folder, 'hopgate');
  writeFileSync(command, `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`);
  chmodSync(command, 0o755);
  env = {
    ...process.env,
    PATH: `${folder}${path.delimiter}${process.env.PATH}`,
    NO_COLOR: '1',
    PYTHONUNBUFFERED: '1',
  };
  for (const name of Object.keys(env)) if (/^(https?|all|no)_proxy$/i.test(name)) delete env[name];
  delete env.HOPGATE_VERIFIER;
});

afterAll(() => {
  for (const { pid } of running) {
    try {
      if (pid !== undefined) process.kill(-pid, 'SIGKILL');
    } catch {
      // It has ended already.
    }
  }
  rmSync(folder, { recursive: true, force: true });
});

test(
  'each line of the README does what it says, and says what comes next',
  async () => {
    const steps = stepsOf(
      readFileSync(path.join(ROOT, 'README.md'), 'utf8'),
      '## From an empty directory',
      '### Without a verifier',
    );
    const lines = steps.map(({ line }) => line);
    const revoked = lines.findIndex((line) => line.startsWith('hopgate revoke'));
    // A pipe is one command; what an agent does with curl is none of ours.
    expect(lines.slice(0, revoked + 1).filter((line) => line.includes('hopgate ')).length).toBe(8);
    expect(steps.filter(({ expected }) => expected === 'revoked_task').length).toBeGreaterThan(1);

    const shell = new Shell([]);
    await shell.run('exec 2>&1');
    const terminals: Shell[] = [];
    const outputs = new Map<string, string>();
    for (const { line, isTerminal, expected } of steps) {
      if (isTerminal) {
        const [, ready = ''] = READY.find(([pattern]) => pattern.test(line)) ?? [];
        expect(ready, `how to tell that this has started: ${line}`).not.toBe('');
        const terminal = new Shell(['-c', `exec ${line}`]);
        await terminal.says(ready);
        terminals.push(terminal);
        continue;
      }
      const { output, status } = await shell.run(line);
      expect({ line, output, status }).toMatchObject({ status: 0 });
      if (expected !== undefined) expect(output, line).toContain(expected);
      outputs.set(line, output);
    }

    const said = (begin: string): string =>
      [...outputs].find(([line]) => line.startsWith(begin) || line.includes(`(${begin}`))?.[1] ?? '';
    const [verifier] = terminals;
    for (const name of ['planning/1', 'inventory/1'])
      expect(verifier?.said).toContain(`hopgate join "$(hopgate agents add ${name})"`);
    expect(said('hopgate join')).toContain('hopgate sidecar --config agents/planning-1/sidecar.yaml');
    expect(said('hopgate principals')).toMatch(
      /hopgate delegate --as alice --to (planning|inventory)\/1 --scope infrastructure:review --out task\.chain/,
    );
    expect(said('hopgate delegate')).toContain('http://inventory.mesh/');
    expect(said('hopgate delegate')).toMatch(
      /hopgate revoke task --why "…" --principal \S+alice\S+ -- \S{43}/,
    );

    // The policy of the first start is there to be changed.
    const policy = path.join(home, 'policy.yaml');
    expect(existsSync(policy)).toBe(true);
    writeFileSync(policy, readFileSync(policy, 'utf8').replace('revision: "1"', 'revision: "2"'));
    const published = await shell.run('hopgate policy publish policy.yaml --why "a test"');
    expect(published).toMatchObject({ status: 0, output: expect.stringContaining('2 of 2 sidecars') });

    const [first] = terminals;
    for (const terminal of terminals.toReversed()) {
      const closed = once(terminal.child, 'close');
      terminal.child.kill('SIGTERM');
      await closed;
    }
    expect(first?.child.exitCode).toBe(0);
  },
  TIMEOUT_MS,
);
