/**
 * Whether the other side of an HTTP/2 connection is still there. Once a side has said GOAWAY, Node no longer hears of what ends the
 * connection: nghttp2 stops reading at the first fault, and streams that are open would be so for ever.
 */
import type { Http2Session } from 'node:http2';

/** Milliseconds that an answer may take. */
const PULSE_MS = 5000;

/** Asks again and again until the session ends; calls `onGone` once where no answer comes. */
export const watchPulse = (session: Http2Session, onGone: () => void, pulseMs = PULSE_MS): void => {
  let isThere = true;
  const ask = (): void => {
    if (!isThere || session.destroyed) {
      clearInterval(timer);
      onGone();
      return;
    }
    isThere = false;
    // Settings without any, since Node sends no PING on a session that is to end. They too are acknowledged (RFC 9113 §6.5.3).
    session.settings({}, (fault) => {
      isThere = fault === null;
    });
  };
  const timer = setInterval(ask, pulseMs).unref();
  session.once('close', () => clearInterval(timer));
  ask();
};
