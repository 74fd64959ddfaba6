/** A body over HTTP/2 whose client resets the stream in its middle: Node ends it as if it were whole, and nobody may take it for that. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { Call } from '../../../../src/edge/http/call.ts';
import { H2Server } from '../../../../src/edge/http/h2-server.ts';
import { readRequestBody } from '../../../../src/edge/http/request-body.ts';
import {
  END_HEADERS,
  END_STREAM,
  type Field,
  h2Frame,
  headerBlock,
  PREFACE,
  requestFields,
  TYPE,
  uint32,
} from '../../../testkit/raw-h2.ts';

let server: Server;
let client: Socket;
afterEach(() => {
  client.destroy();
  server.close();
});

const send = async (fields: readonly Field[]): Promise<Call> => {
  const called = new Promise<Call>((resolve) => {
    server = createServer(
      (socket) =>
        new H2Server(
          socket,
          { streams: 10, idleMs: 60_000 },
          { onCall: resolve, onRefused: () => undefined },
        ),
    );
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const address = server.address();
  client = connect(address !== null && typeof address === 'object' ? address.port : 0, '127.0.0.1');
  client.on('error', () => client.destroy());
  client.write(PREFACE, 'latin1');
  client.write(h2Frame(TYPE.settings, 0, 0));
  client.write(h2Frame(TYPE.headers, END_HEADERS, 1, headerBlock(fields)));
  client.write(h2Frame(TYPE.data, 0, 1, '{"a":1}'));
  return called;
};
const post = (fields: readonly Field[] = []) => requestFields({ method: 'POST', fields });
const read = (call: Call) => readRequestBody(call, { mostBytes: 1000, idleMs: 60_000 });

test.each([
  ['NO_ERROR', 0, post()],
  ['CANCEL', 8, post()],
  ['INTERNAL_ERROR', 2, post()],
  ['NO_ERROR, with a length', 0, post([['content-length', '9']])],
  ['CANCEL, with a length', 8, post([['content-length', '9']])],
])('reset with %s', async (_, code, fields) => {
  const call = await send(fields);
  let isGone = false;
  call.onClose(() => {
    isGone = true;
  });
  let goneAtEnd: boolean | undefined;
  call.body.once('end', () => {
    goneAtEnd = isGone;
  });
  const body = read(call);
  call.body.once('data', () => client.write(h2Frame(TYPE.reset, 0, 1, uint32(code))));
  expect(await body).toMatchObject({ ok: false, reason: 'client_aborted' });
  expect(goneAtEnd).not.toBe(false);
  expect(call.isComplete).toBe(false);
  expect(call.isAnswered).toBe(false);
});

test('one that ends is whole', async () => {
  const call = await send(post());
  const body = read(call);
  client.write(h2Frame(TYPE.data, END_STREAM, 1, ' '));
  expect(await body).toMatchObject({ ok: true, value: Buffer.from('{"a":1} ') });
  expect(call.isComplete).toBe(true);
});
