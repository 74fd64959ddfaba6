/** A TLS server that pretends to be the verifier, and keeps every octet that it is sent. */

import type { AddressInfo } from 'node:net';
import { createServer, type TlsOptions } from 'node:tls';

export interface WrongVerifier {
  readonly address: string;
  /** All that came over all connections, in the clear. */
  readonly received: () => string;
  stop(): Promise<void>;
}

/** Answers `GET /v1/roles` with `roles`, and anything else with 200 and nothing. */
export const startWrongVerifier = async (
  { cert, key }: Pick<TlsOptions, 'cert' | 'key'>,
  roles: string,
): Promise<WrongVerifier> => {
  let received = '';
  const server = createServer({ cert, key, ALPNProtocols: ['http/1.1'] }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (octets: Buffer) => {
      received += octets.toString('latin1');
      const body = octets.toString('latin1').startsWith('GET /v1/roles ') ? JSON.stringify({ roles }) : '{}';
      socket.write(
        `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
      );
    });
  });
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    received: () => received,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
};
