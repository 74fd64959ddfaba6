/** Answers to CONNECT (RFC 9110 §9.3.6), on the bare socket that Node hands over with it. */
import type { Duplex } from 'node:stream';
import { problemOf, type Refused } from './problem.ts';

/** How long a refused CONNECT may take to hang up. */
const LINGER_MS = 1000;

/** What follows on the socket is the tunnel's. */
export const acceptConnect = (socket: Duplex, hop: string, onWritten?: () => void): void => {
  const named = hop === '' ? '' : `Hopgate-Hop: ${hop}\r\n`;
  socket.write(`HTTP/1.1 200 Connection Established\r\n${named}\r\n`, onWritten);
};

/** Refuses to the local agent, and hangs up; gives the status. */
export const refuseConnect = (socket: Duplex, denial: Refused, hop = ''): number => {
  const { status, body } = problemOf(denial, hop, true);
  const challenge = status === 407 ? 'Proxy-Authenticate: Basic realm="hopgate"\r\n' : '';
  // No server watches this socket any more: who doesn't hang up would keep it for ever.
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.end(
    `HTTP/1.1 ${status} Refused\r\n${challenge}Content-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
  return status;
};
