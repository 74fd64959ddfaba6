/** How a command reaches the sidecar of an agent: its admin socket, and what to do when nobody answers there. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Client } from 'undici';
import { parseConfig } from '../config/load.ts';
import { type SidecarConfig, sidecarSchema } from '../config/sidecar-schema.ts';
import { CommandError } from './command.ts';
import { usageError } from './command-faults.ts';

/** A sidecar of this machine. */
export interface SidecarAt {
  readonly socket: string;
  readonly config: SidecarConfig | undefined;
  /** Absolute. */
  readonly stateDirectory: string | undefined;
}

/** By `--admin` or `--config`. */
export const findSidecar = ({
  admin,
  config: file,
}: {
  readonly admin?: string | undefined;
  readonly config?: string | undefined;
}): SidecarAt => {
  if (admin !== undefined) return { socket: admin, config: undefined, stateDirectory: undefined };
  if (file === undefined) throw usageError('which sidecar? --config FILE, or --admin SOCKET');
  const config = parseConfig(readFileSync(file, 'utf8'), file, sidecarSchema).value;
  const stateDirectory = path.resolve(path.dirname(file), config.stateDirectory);
  return { socket: path.resolve(stateDirectory, config.admin.socket), config, stateDirectory };
};

const ANSWER_TIMEOUT_MS = 10_000;
/** What a socket's path may have on Linux (sun_path, unix(7)), less its final NUL. */
const MAX_SOCKET_PATH_BYTES = 107;

const WHY: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket: is the sidecar running?',
  ECONNREFUSED: 'nobody listens there: is the sidecar running?',
  EACCES: 'it belongs to another user: run this as the user of the sidecar',
  ENOTSOCK: 'it is not a socket',
};

/** One call to a sidecar's admin socket. */
export const callAdmin = async (
  socket: string,
  method: 'GET' | 'POST' | 'DELETE',
  target: string,
  body?: string,
): Promise<{ readonly status: number; readonly body: string }> => {
  if (Buffer.byteLength(socket) > MAX_SOCKET_PATH_BYTES)
    throw new CommandError(
      `${socket}: longer than the ${MAX_SOCKET_PATH_BYTES} octets that a socket’s path may have; call it by a relative path with --admin`,
    );
  const client = new Client('http://localhost', {
    connect: { socketPath: socket },
    headersTimeout: ANSWER_TIMEOUT_MS,
    bodyTimeout: ANSWER_TIMEOUT_MS,
  });
  try {
    const response = await client.request({
      method,
      path: target,
      ...(body !== undefined && { body, headers: { 'content-type': 'text/plain' } }),
    });
    return { status: response.statusCode, body: await response.body.text() };
  } catch (error) {
    const { code = 'unknown', message } = error as NodeJS.ErrnoException;
    throw new CommandError(`${socket}: ${WHY[code] ?? `${code}: ${message}`}`);
  } finally {
    await client.destroy();
  }
};
