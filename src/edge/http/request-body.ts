/** A whole request body in memory, within bounds: for what has to be known before anything is sent on. */
import { Gathered } from '../../core/encoding/gathered.ts';
import { deny, grant, type Verdict } from '../../core/verdict.ts';
import type { Call } from './call.ts';

export interface BodyBounds {
  readonly mostBytes: number;
  /** A body that stands still for so long is given up. */
  readonly idleMs: number;
}

/** Refuses with `http_body_too_large`, `http_timeout`, `client_aborted`. */
export const readRequestBody = (call: Call, { mostBytes, idleMs }: BodyBounds): Promise<Verdict<Buffer>> =>
  new Promise((resolve) => {
    const octets = new Gathered();
    const request = call.body;
    const end = (verdict: Verdict<Buffer>): void => {
      request.off('data', onData).off('end', onEnd).off('error', onGone).off('close', onGone);
      call.offClose(onGone);
      call.watchBody(0);
      resolve(verdict);
    };
    const onData = (chunk: Buffer): void => {
      if (octets.size + chunk.length <= mostBytes) octets.push(chunk);
      else {
        request.pause();
        end(
          deny(
            'http_body_too_large',
            `more than ${mostBytes} octets, which is the most that can be approved`,
          ),
        );
      }
    };
    const onEnd = (): void => end(grant(octets.whole()));
    const onGone = (): void => end(deny('client_aborted', 'the client went away'));
    call.watchBody(idleMs, () => end(deny('http_timeout', 'the body came too slowly')));
    // Of HTTP/2 the body of a client that has gone ends like any other.
    call.onClose(onGone);
    request.on('data', onData).once('end', onEnd).once('error', onGone).once('close', onGone);
  });
