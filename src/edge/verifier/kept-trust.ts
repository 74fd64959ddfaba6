/** The last bundle and timestamp on disk, for a start without the verifier. Written behind what is in force, never before it. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { BundleOrder } from '../../core/trust/bundle.ts';
import { writeFileAtomic } from '../store/atomic-file.ts';
import { orderText, readOrder } from '../store/bundle-order.ts';

export interface TrustToKeep {
  readonly bundle: string;
  readonly timestamp: string | undefined;
  readonly order: BundleOrder;
}

const readIfThere = (file: string): string | undefined => {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
};

export class KeptTrust {
  private readonly files: { readonly bundle: string; readonly timestamp: string; readonly order: string };
  private readonly seed: string | undefined;
  private readonly onFault: (error: Error | undefined) => void;
  /** What is on disk, as far as we wrote it. */
  private written: Partial<TrustToKeep> = {};
  private wanted: TrustToKeep | undefined;
  private writing: Promise<void> | undefined;

  /** `seed` is a folder with a bundle for the first start. `onFault` hears of a disk that doesn't take it, and with undefined that it does again. */
  constructor(directory: string, seed: string | undefined, onFault: (error: Error | undefined) => void) {
    this.seed = seed;
    this.files = {
      bundle: path.join(directory, 'bundle.jws'),
      timestamp: path.join(directory, 'timestamp.jws'),
      order: path.join(directory, 'bundle-order.json'),
    };
    this.onFault = onFault;
  }

  /** Throws `TrustError` when the order is damaged: without it a rollback can't be seen. */
  read(): {
    readonly order: BundleOrder;
    readonly bundle: string | undefined;
    readonly timestamp: string | undefined;
  } {
    const order = readOrder(this.files.order);
    const bundle = readIfThere(this.files.bundle);
    if (bundle !== undefined || this.seed === undefined)
      return { order, bundle, timestamp: readIfThere(this.files.timestamp) };
    const seed = (file: string): string | undefined =>
      readIfThere(path.join(this.seed ?? '', path.basename(file)));
    return { order, bundle: seed(this.files.bundle), timestamp: seed(this.files.timestamp) };
  }

  /** Writes when it can; the newest counts, and one that could not be written is tried again with the next. */
  keep(trust: TrustToKeep): void {
    this.wanted = trust;
    this.writing ??= this.writeAll().finally(() => {
      this.writing = undefined;
    });
  }

  /** Resolves when nothing more is to be written. */
  async settled(): Promise<void> {
    await this.writing;
  }

  private async writeAll(): Promise<void> {
    for (let next = this.wanted; next !== undefined; next = this.wanted) {
      this.wanted = undefined;
      try {
        await this.writeOne(next);
        this.onFault(undefined);
      } catch (error) {
        this.onFault(error as Error);
      }
    }
  }

  /** The order last: what it names is there then. */
  private async writeOne({ bundle, timestamp, order }: TrustToKeep): Promise<void> {
    if (this.written.bundle !== bundle) {
      await writeFileAtomic(this.files.bundle, `${bundle}\n`);
      this.written = { ...this.written, bundle };
    }
    if (timestamp !== undefined && this.written.timestamp !== timestamp) {
      await writeFileAtomic(this.files.timestamp, `${timestamp}\n`);
      this.written = { ...this.written, timestamp };
    }
    if (this.written.order?.digest !== order.digest) {
      await writeFileAtomic(this.files.order, orderText(order));
      this.written = { ...this.written, order };
    }
  }
}
