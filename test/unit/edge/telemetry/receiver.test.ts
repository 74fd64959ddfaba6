/** A receiver of OTLP on a real socket that answers as it should not. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { makeLogger } from '../../../../src/edge/telemetry/log.ts';
import { Receiver, readHeadersFile } from '../../../../src/edge/telemetry/otlp/receiver.ts';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

const start = async (answer: RequestListener, timeoutMs = 5000, headersFile?: string): Promise<Receiver> => {
  const server: Server = createServer((request, response) => {
    request.resume().on('end', () => answer(request, response));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  ends.push(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  const receiver = new Receiver({
    endpoint: `http://127.0.0.1:${port}/base/`,
    caFile: undefined,
    headersFile,
    timeoutMs,
    log: makeLogger('silent'),
  });
  ends.push(() => receiver.close());
  return receiver;
};
const told = Buffer.from('{}');

describe('a receiver that', () => {
  it('takes it hears where and as what it comes', async () => {
    let heard: unknown;
    const receiver = await start((request, response) => {
      heard = [
        request.method,
        request.url,
        request.headers['content-type'],
        request.headers['content-length'],
      ];
      response.end();
    });
    expect(await receiver.send('traces', told)).toEqual({ rejected: 0 });
    expect(heard).toEqual(['POST', '/base/v1/traces', 'application/json', '2']);
  });

  it.each([
    ['takes a part', '{"partialSuccess":{"rejectedSpans":"3"}}', 3],
    ['takes a part of the records', '{"partialSuccess":{"rejectedLogRecords":2}}', 2],
    ['answers nonsense', '<html>', 0],
    ['answers null', 'null', 0],
    ['rejects a number of its own kind', '{"partialSuccess":{"rejectedSpans":"-1"}}', 0],
  ])('%s', async (_, body, rejected) => {
    const receiver = await start((_request, response) => response.end(body));
    expect(await receiver.send('logs', told)).toEqual({ rejected });
  });

  it.each([
    [429, 'again'],
    [503, 'again'],
    [400, 'refused'],
    [401, 'refused'],
    [500, 'refused'],
  ] as const)('answers %d is asked %s', async (status, result) => {
    const receiver = await start((_request, response) => response.writeHead(status).end('x'));
    expect(await receiver.send('traces', told)).toBe(result);
  });

  it('points elsewhere is not followed', async () => {
    let asked = 0;
    const receiver = await start((_request, response) => {
      asked++;
      response.writeHead(307, { location: '/elsewhere' }).end();
    });
    expect(await receiver.send('traces', told)).toBe('refused');
    expect(asked).toBe(1);
  });

  it('says nothing, or drips its answer for ever, has its time and no more', async () => {
    const silent = await start(() => undefined, 100);
    expect(await silent.send('traces', told)).toBe('again');
    const dripping = await start((_request, response) => {
      response.writeHead(503);
      const timer = setInterval(() => response.write('x'), 10);
      response.once('close', () => clearInterval(timer));
    }, 100);
    expect(await dripping.send('traces', told)).toBe('again');
  });

  it('answers without an end is not read to its end', async () => {
    const receiver = await start((_request, response) => {
      response.writeHead(200);
      const flood = (): void => {
        while (response.write('x'.repeat(65_536)));
        response.once('drain', flood);
      };
      flood();
    });
    expect(await receiver.send('traces', told)).toEqual({ rejected: 0 });
  });

  it('is not there', async () => {
    const receiver = new Receiver({
      endpoint: 'http://127.0.0.1:1',
      caFile: undefined,
      headersFile: undefined,
      timeoutMs: 1000,
      log: makeLogger('silent'),
    });
    ends.push(() => receiver.close());
    expect(await receiver.send('traces', told)).toBe('again');
  });
});

describe('headers from a file', () => {
  const write = (text: string): string => {
    const directory = mkdtempSync(path.join(tmpdir(), 'hopgate-headers-'));
    ends.push(() => rmSync(directory, { recursive: true, force: true }));
    const file = path.join(directory, 'headers');
    writeFileSync(file, text);
    return file;
  };

  it('are a name and a value a line', () => {
    expect(readHeadersFile(write('# who\r\nAuthorization: Bearer a b \n\nx-scope:1'))).toEqual({
      Authorization: 'Bearer a b',
      'x-scope': '1',
    });
  });

  it.each(['secret', 'a b: c', 'host: elsewhere', 'Content-Length: 5', 'a: b\u0000c', 'a:'])(
    'that can’t be sent along are refused without a word of them: %j',
    (line) => {
      const file = write(`ok: 1\n${line}`);
      expect(() => readHeadersFile(file)).toThrow(`${file}, line 2: is no header to send along`);
    },
  );
});
