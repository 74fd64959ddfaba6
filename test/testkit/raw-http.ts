/** Octets to a local port and what comes back, for requests that no HTTP client would send. */
import type { EventEmitter } from 'node:events';
import { connect } from 'node:net';

/** Writes `octets`, and reads until the other side closes or `enough` is true of what came. */
export const exchangeOctets = (
  target: { readonly host: string; readonly port: number } | { readonly path: string },
  octets: string | Buffer,
  enough: (text: string) => boolean = () => false,
): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = 'path' in target ? connect(target.path) : connect(target.port, target.host);
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (enough(text)) socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
    socket.write(octets);
  });

/** Whether a whole response with its announced length has come. */
export const isWholeResponse = (text: string): boolean => {
  const end = text.indexOf('\r\n\r\n');
  const length = /content-length: (\d+)/i.exec(text.slice(0, end))?.[1];
  return end !== -1 && length !== undefined && text.length >= end + 4 + Number(length);
};

export const statusOf = (text: string): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1]);

/** The reason code of a refusal. */
export const codeOf = (text: string): string | undefined => /"code":"([a-z0-9_]+)"/.exec(text)?.[1];

/** Resolves when a socket is closed, with a fault or without: `once` would reject with what came before it. */
export const closed = (socket: EventEmitter): Promise<void> =>
  new Promise((resolve) => {
    socket.once('close', () => resolve());
  });
