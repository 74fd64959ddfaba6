/** Lines on stdout at the reader's pace: a slow pipe holds the writer back, a closed one ends it without noise. */
import { once } from 'node:events';

const LF = Buffer.from('\n');

export class LineOutput {
  private readonly ended = new AbortController();

  constructor() {
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      this.ended.abort();
    });
  }

  /** Aborted when nobody reads any more (`hopgate logs … | head`). */
  get signal(): AbortSignal {
    return this.ended.signal;
  }

  async line(text: string | Uint8Array): Promise<void> {
    if (this.ended.signal.aborted) return;
    process.stdout.write(text);
    if (process.stdout.write(LF)) return;
    await once(process.stdout, 'drain', { signal: this.ended.signal }).catch(() => undefined);
  }
}
