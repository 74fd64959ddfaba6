import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pino from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { egress } from '../../../../src/config/egress-schema.ts';
import { FileCredential } from '../../../../src/edge/egress/credential.ts';
import { ExchangedCredential, subjectFile } from '../../../../src/edge/egress/exchanged-credential.ts';

const HOME = 'api.example.com:443';
const SECRET = 'sk-0123456789';

let directory: string;
let lines: string;
const log = pino(
  {},
  {
    write: (line: string) => {
      lines += line;
    },
  },
);
beforeAll(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'hopgate-credential-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));
beforeEach(() => {
  lines = '';
});
const fileAt = (name: string): string => path.join(directory, name);

const configOf = (credential: object) => {
  const [entry] = egress.parse([{ destination: HOME, credential }]);
  if (entry?.credential === undefined) throw new Error('no credential');
  return entry.credential;
};

describe('a credential in a file', () => {
  const source = (more: object = {}) =>
    new FileCredential({
      destination: HOME,
      config: configOf({ secretFile: 'key', ...more }),
      fileAt,
      log,
      file: fileAt('key'),
    });
  it('is one line, with the scheme of its header', async () => {
    writeFileSync(fileAt('key'), `${SECRET}\n`);
    expect(await source().get()).toMatchObject({
      value: { header: 'authorization', value: `Bearer ${SECRET}`, secret: SECRET },
    });
    expect(await source({ header: 'x-api-key' }).get()).toMatchObject({
      value: { header: 'x-api-key', value: SECRET },
    });
    expect(await source({ scheme: 'token' }).get()).toMatchObject({ value: { value: `token ${SECRET}` } });
  });
  it('is read again when it changes', async () => {
    writeFileSync(fileAt('key'), SECRET);
    const one = source();
    await one.get();
    writeFileSync(fileAt('key'), 'sk-another-one');
    expect(await one.get()).toMatchObject({ value: { secret: 'sk-another-one' } });
  });
  it.each([
    ['', 'nothing'],
    ['short', 'too little to be one'],
    [`${SECRET}\nx-evil: 1`, 'a second line'],
    [`${SECRET}\r\nx-evil: 1`, 'a header of its own'],
    ['k\u00e9y-0123456789', 'what is no ASCII'],
    ['x'.repeat(8193), 'too much'],
  ])('"%s" is none: %s', async (text) => {
    writeFileSync(fileAt('key'), text);
    const denial = await source().get();
    expect(denial).toMatchObject({ ok: false, reason: 'egress_credential' });
    if (text.length > 8) expect(JSON.stringify(denial) + lines).not.toContain(text.slice(0, 9));
  });
  it('that is gone is a denial, said once in the log, and none when it is back', async () => {
    writeFileSync(fileAt('key'), SECRET);
    const one = source();
    await one.get();
    rmSync(fileAt('key'));
    expect(await one.get()).toMatchObject({ reason: 'egress_credential' });
    expect(await one.get()).toMatchObject({ reason: 'egress_credential' });
    expect(lines.split('\n').filter((line) => line.includes('ENOENT'))).toHaveLength(1);
    writeFileSync(fileAt('key'), SECRET);
    expect((await one.get()).ok).toBe(true);
    expect(lines).not.toContain(SECRET);
  });
});

describe('a credential that is exchanged', () => {
  type Answer = (request: IncomingMessage, response: ServerResponse, body: string) => void;
  const asked: URLSearchParams[] = [];
  let answer: Answer;
  let now: number;
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      asked.push(new URLSearchParams(body));
      answer(request, response, body);
    });
  });
  const made: ExchangedCredential[] = [];
  const source = (more: object = {}): ExchangedCredential => {
    const { port } = server.address() as AddressInfo;
    const config = configOf({
      exchange: {
        tokenEndpoint: `http://127.0.0.1:${port}/token?tenant=a`,
        clientId: 'hopgate',
        clientSecretFile: 'client-secret',
        subjectTokenFile: 'subject',
        audience: 'https://api.example.com',
        ...more,
      },
    });
    if (config.exchange === undefined) throw new Error('no exchange');
    const one = new ExchangedCredential({
      destination: HOME,
      config,
      exchange: config.exchange,
      fileAt,
      log,
      clock: { now: () => now, monotonic: () => now },
      subjectToken: subjectFile(fileAt('subject')),
    });
    made.push(one);
    return one;
  };
  const give =
    (token: string, more: object = {}): Answer =>
    (_request, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(
        JSON.stringify({
          access_token: token,
          issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
          token_type: 'Bearer',
          expires_in: 300,
          ...more,
        }),
      );
    };
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    writeFileSync(fileAt('client-secret'), 'client-secret-1\n');
    writeFileSync(fileAt('subject'), 'subject-token-1\n');
  });
  beforeEach(() => {
    asked.length = 0;
    now = 1_000_000;
    answer = give('exchanged-1');
  });
  afterEach(() => {
    for (const one of made.splice(0)) one.close();
  });
  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });

  it('is asked for as RFC 8693 has it', async () => {
    expect(await source().get()).toMatchObject({ value: { value: 'Bearer exchanged-1' } });
    expect(Object.fromEntries(asked[0] ?? [])).toEqual({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: 'subject-token-1',
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      audience: 'https://api.example.com',
      client_id: 'hopgate',
      client_secret: 'client-secret-1',
    });
  });
  it('is asked for once for all who wait, and kept until shortly before its end', async () => {
    const one = source();
    const first = await Promise.all([one.get(), one.get(), one.get()]);
    expect(first.every((got) => got.ok)).toBe(true);
    now += 269_000;
    await one.get();
    expect(asked).toHaveLength(1);
    answer = give('exchanged-2');
    now += 2000;
    expect(await one.get()).toMatchObject({ value: { secret: 'exchanged-2' } });
    expect(asked).toHaveLength(2);
  });
  it('is got anew when the destination does not take it, and not with each such answer', async () => {
    const one = source();
    const got = await one.get();
    if (!got.ok) throw new Error(got.detail);
    one.refused(got.value);
    expect((await one.get()).ok).toBe(true);
    expect(asked).toHaveLength(1);
    now += 1001;
    one.refused(got.value);
    expect((await one.get()).ok).toBe(true);
    expect(asked).toHaveLength(2);
    one.refused(got.value);
    await one.get();
    expect(asked).toHaveLength(2);
  });
  it.each<[string, Answer]>([
    [
      'an error',
      (_request, response) =>
        response.writeHead(400, { 'content-type': 'application/json' }).end('{"error":"invalid_target"}'),
    ],
    [
      'garbage',
      (_request, response) =>
        response.writeHead(200, { 'content-type': 'application/json' }).end('{"access_tok'),
    ],
    ['HTML', (_request, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>')],
    ['no token', give('', {})],
    ['a token with a line end', give('abc\r\nx-evil: 1')],
    ['a token that wants DPoP', give('exchanged-1', { token_type: 'DPoP' })],
    ['a token of another kind', give('exchanged-1', { token_type: 'mac' })],
    ['a token that has ended', give('exchanged-1', { expires_in: 0 })],
    ['a redirect', (request, response) => response.writeHead(307, { location: request.url ?? '/' }).end()],
    [
      'too much',
      (_request, response) =>
        response.writeHead(200, { 'content-type': 'application/json' }).end(`{"a":"${'x'.repeat(70_000)}"}`),
    ],
    ['nothing', (request) => request.socket.destroy()],
  ])(
    'is a denial where the endpoint answers with %s, and nobody is asked again at once',
    async (_what, said) => {
      answer = said;
      const one = source();
      expect(await one.get()).toMatchObject({ ok: false, reason: 'egress_credential' });
      expect((await one.get()).ok).toBe(false);
      expect(asked).toHaveLength(1);
      for (const secret of ['exchanged-1', 'subject-token-1', 'client-secret-1', 'x-evil'])
        expect(lines).not.toContain(secret);
      expect(lines).toContain('token could not be exchanged');
    },
  );
  it('is a denial without a subject token', async () => {
    const one = source();
    rmSync(fileAt('subject'));
    expect(await one.get()).toMatchObject({ reason: 'egress_credential' });
    expect(asked).toHaveLength(0);
    writeFileSync(fileAt('subject'), 'subject-token-1\n');
    now += 1001;
    expect((await one.get()).ok).toBe(true);
  });
});
