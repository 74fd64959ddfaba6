/** Whether anybody listens where the agent should. */
import { connect } from 'node:net';
import type { Address } from '../config/forms.ts';

const PROBE_MS = 1000;

export const answers = (address: Address): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = 'path' in address ? connect(address.path) : connect(address.port, address.host);
    const end = (answer: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => end(false), PROBE_MS);
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
