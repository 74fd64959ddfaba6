/**
 * A unix socket that only one process can have: bound under another name and then linked, which fails where there is one already.
 * One that nobody listens on was left behind by a process that was killed, and is taken away.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, linkSync, lstatSync, renameSync, rmSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { dirname, join } from 'node:path';

/** Whether somebody listens on a unix socket. */
const isAlive = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

const listenOn = async (server: Server, path: string): Promise<void> => {
  // The mask holds from the moment of binding: between listen and chmod nobody else gets in.
  const mask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, () => {
        server.off('error', reject);
        resolve();
      });
    });
    chmodSync(path, 0o600);
  } finally {
    process.umask(mask);
  }
};

const linked = (from: string, to: string): boolean => {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
};

const TURNS = 3;

/** Takes away a socket on which nobody listens; false when somebody does. */
const clear = async (path: string, aside: string): Promise<boolean> => {
  if (!lstatSync(path).isSocket()) throw new Error(`${path}: is not a socket, and is not replaced`);
  if (await isAlive(path)) return false;
  renameSync(path, aside);
  // Another process may have put its own there since it was asked: that one goes back.
  const isTaken = await isAlive(aside);
  if (isTaken) linked(aside, path);
  rmSync(aside, { force: true });
  return !isTaken;
};

const claim = async (own: string, path: string): Promise<boolean> => {
  for (let turn = 0; turn < TURNS; turn++) {
    if (linked(own, path)) return true;
    try {
      if (!(await clear(path, `${own}o`))) return false;
    } catch (error) {
      // Gone between two looks: others are starting as well.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return false;
};

/** Listens there, mode 0600; false when another process does. Throws for a file that is no socket, and where none can be made. */
export const listenAlone = async (server: Server, path: string): Promise<boolean> => {
  // No longer than any name that a socket has: its whole path may have 107 octets.
  const own = join(dirname(path), `.${randomBytes(3).toString('hex')}`);
  await listenOn(server, own);
  try {
    const isOurs = await claim(own, path);
    if (!isOurs) server.close();
    return isOurs;
  } catch (error) {
    server.close();
    throw error;
  } finally {
    rmSync(own, { force: true });
  }
};

/** Which socket a path names now, to know it again. */
export const socketAt = (path: string): bigint | undefined =>
  lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino;

/** Takes the name away, if it still names this socket. */
export const removeSocket = (path: string, ino: bigint | undefined): void => {
  if (ino !== undefined && socketAt(path) === ino) rmSync(path, { force: true });
};
