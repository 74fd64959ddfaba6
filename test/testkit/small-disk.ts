/** Disks that are full when a test says so, with the errors of the real kernel. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';

export interface SmallDisk {
  readonly name: string;
  /** Prepares the state directory before the sidecar starts. */
  prepare(directory: string, kibibytes?: number): void;
  /** Whether only this directory is full, and not every file of the process. */
  readonly isOneDirectory: boolean;
  fill(log: string): void;
  free(): void;
  /** Gives back what `prepare` took. */
  remove(): void;
}

const works = (command: string, ...args: readonly string[]): boolean => {
  try {
    execFileSync(command, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

/** A tmpfs, of 256 KiB unless said: ENOSPC. Needs root. */
const tmpfs = (): SmallDisk => {
  let mounted = '';
  const filler = (): string => path.join(mounted, 'filler');
  return {
    name: 'a file system without room',
    isOneDirectory: true,
    prepare: (directory, kibibytes = 256) => {
      mkdirSync(directory, { recursive: true });
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${kibibytes}k`, 'tmpfs', directory]);
      mounted = directory;
    },
    fill: () => {
      const fd = openSync(filler(), 'w');
      try {
        for (;;) writeSync(fd, Buffer.alloc(512));
      } catch {
        closeSync(fd);
      }
    },
    free: () => rmSync(filler(), { force: true }),
    remove: () => {
      if (mounted !== '') execFileSync('umount', [mounted]);
      mounted = '';
    },
  };
};

/** A limit on the size of files (RLIMIT_FSIZE), which cuts the write that reaches it in two: EFBIG. */
const fileSizeLimit = (): SmallDisk => {
  const limit = (octets: number | 'unlimited'): void => {
    execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${octets}:`]);
  };
  return {
    name: 'a file that may not grow, cutting a write in two',
    isOneDirectory: false,
    prepare: () => undefined,
    fill: (log) => limit(statSync(log).size + 100),
    free: () => limit('unlimited'),
    remove: () => limit('unlimited'),
  };
};

/** What this machine and user can do. */
export const smallDisks = (): SmallDisk[] => {
  const canMount =
    process.getuid?.() === 0 && works('unshare', '--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt');
  return [...(canMount ? [tmpfs()] : []), ...(works('prlimit', '--version') ? [fileSizeLimit()] : [])];
};
