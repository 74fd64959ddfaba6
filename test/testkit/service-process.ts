/** A sidecar or a verifier as the process that it is in production: started, signalled, killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { MAIN } from './main-file.ts';

// A test that failed leaves nobody behind.
const children = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

export class ServiceProcess {
  stderr = '';
  readonly ended: Promise<Ended>;
  private readonly service: string;
  private readonly child: ChildProcess;
  private readonly waiting = new Set<() => void>();

  constructor(service: 'sidecar' | 'verifier', configFile: string) {
    this.service = service;
    this.child = spawn(process.execPath, [MAIN, service, '--config', configFile], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    children.add(this.child);
    this.child.stderr?.setEncoding('utf8');
    this.child.stderr?.on('data', (text: string) => {
      this.stderr += text;
      for (const look of [...this.waiting]) look();
    });
    this.ended = once(this.child, 'close').then(([code, signal]) => {
      for (const look of [...this.waiting]) look();
      return { code: code as number | null, signal: signal as NodeJS.Signals | null, stderr: this.stderr };
    });
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Resolves when it has written this; rejects when it ends before. */
  async says(text: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const look = (): void => {
        if (this.stderr.includes(text)) {
          this.waiting.delete(look);
          resolve();
        } else if (!this.isRunning) {
          this.waiting.delete(look);
          reject(new Error(`it ended without "${text}": ${this.stderr}`));
        }
      };
      this.waiting.add(look);
      look();
    });
  }

  /** Resolves when its doors are open. */
  async started(): Promise<this> {
    await this.says(`"${this.service} started"`);
    return this;
  }

  kill(signal: NodeJS.Signals): Promise<Ended> {
    this.child.kill(signal);
    return this.ended;
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }
}

export class SidecarProcess extends ServiceProcess {
  constructor(configFile: string) {
    super('sidecar', configFile);
  }
}

export class VerifierProcess extends ServiceProcess {
  constructor(configFile: string) {
    super('verifier', configFile);
  }
}
