/** The real command line, in a process of its own. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { MAIN } from './main-file.ts';

const ENV = { ...process.env, TZ: 'UTC', NO_COLOR: '1' };

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a process has written so far, and a wait for more. */
class Written {
  text = '';
  private readonly waiting = new Set<() => void>();

  constructor(stream: NodeJS.ReadableStream) {
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => {
      this.text += chunk;
      for (const look of this.waiting) look();
    });
  }

  /** Resolves when the text holds all of `parts`; the test's own time limit is the only one. */
  async until(...parts: readonly string[]): Promise<void> {
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (!parts.every((part) => this.text.includes(part))) return;
        this.waiting.delete(look);
        resolve();
      };
      this.waiting.add(look);
      look();
    });
  }
}

/** A command that goes on until it is stopped. */
export class CliProcess {
  readonly stdout: Written;
  readonly stderr: Written;
  private readonly child: ChildProcessWithoutNullStreams;

  constructor(...args: readonly string[]) {
    this.child = spawn(process.execPath, [MAIN, ...args], { env: ENV });
    this.child.stdin.end();
    this.stdout = new Written(this.child.stdout);
    this.stderr = new Written(this.child.stderr);
  }

  /** Resolves with the exit code. */
  async ended(): Promise<number | null> {
    const [code] = await once(this.child, 'close');
    return code as number | null;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill('SIGTERM');
    await once(this.child, 'close');
  }

  /** Stops reading what it writes, as `head` does. */
  closeStdout(): void {
    this.child.stdout.destroy();
  }
}

/** Runs `hopgate …` to its end. */
export const runCli = async (...args: readonly string[]): Promise<CliResult> => {
  const cli = new CliProcess(...args);
  const code = await cli.ended();
  return { code, stdout: cli.stdout.text, stderr: cli.stderr.text };
};
