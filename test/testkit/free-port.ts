/** Ports for those who must know theirs before they listen, such as a process that is started twice at one address. */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below the ranges from which Linux (32768 on) and macOS (49152 on) take ports for who asks for port 0 and for
 * connections: nobody else of a parallel run is given one of these between our look and its use.
 */
const FIRST = 20_000;
const END = 32_000;

const given = new Set<number>();

const isFree = async (port: number): Promise<boolean> => {
  const server = createServer();
  try {
    await once(server.listen(port, '127.0.0.1'), 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  }
  server.close();
  await once(server, 'close');
  return true;
};

/** A port of 127.0.0.1 that nobody listens on just now, and that this process was not given before. */
export const freePort = async (): Promise<number> => {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = randomInt(FIRST, END);
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port found between ${FIRST} and ${END}`);
};
