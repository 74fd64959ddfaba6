/** Files that are read again when they change. Polling sees what watching misses: renames, ConfigMap symlinks, network mounts. */
import { statSync } from 'node:fs';

const fingerprint = (file: string): string => {
  try {
    const { mtimeMs, size, ino } = statSync(file);
    return `${mtimeMs} ${size} ${ino}`;
  } catch {
    return '';
  }
};

export interface WatchOptions {
  readonly intervalMs?: number;
  /** Only once they have stood still for an interval: whoever writes a file may be in the middle of it. */
  readonly settled?: boolean;
}

/** Calls `onChange` when any of the files has changed. Returns a way to stop. */
export const watchFiles = (
  files: readonly string[],
  onChange: () => void,
  { intervalMs = 1000, settled = false }: WatchOptions = {},
): (() => void) => {
  const seen = new Map(files.map((file) => [file, fingerprint(file)]));
  let pending = false;
  const timer = setInterval(() => {
    let changed = false;
    for (const [file, before] of seen) {
      const now = fingerprint(file);
      if (now === before) continue;
      seen.set(file, now);
      changed = true;
    }
    const due = settled ? pending && !changed : changed;
    pending = changed;
    if (due) onChange();
  }, intervalMs);
  timer.unref();
  return () => clearInterval(timer);
};
