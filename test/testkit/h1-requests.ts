/** What our parser of requests, and Node's own server, make of the same octets. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { duplexPair } from 'node:stream';
import { type RequestHead, RequestParser } from '../../src/edge/http/h1-request-parser.ts';

export interface ReadRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly string[];
  readonly body: string;
  readonly trailers: readonly string[];
  readonly upgrades: boolean;
  readonly closes: boolean;
}

export interface Reading {
  readonly requests: readonly ReadRequest[];
  readonly fault: 'malformed' | 'too-large' | undefined;
  /** What follows the last whole request: the beginning of another, or what another protocol says. */
  readonly isInHead: boolean;
}

/** Reads chunks as one connection would. */
export const readRequests = (chunks: readonly Buffer[]): Reading => {
  const requests: ReadRequest[] = [];
  let head: RequestHead | undefined;
  let body = '';
  const parser = new RequestParser({
    onHead: (one) => {
      head = one;
      body = '';
    },
    onData: (chunk) => {
      body += chunk.toString('latin1');
    },
  });
  for (const chunk of chunks) {
    let rest = chunk;
    while (rest.length > 0 && parser.fault === undefined) {
      rest = rest.subarray(parser.push(rest));
      if (!parser.isWhole || head === undefined) continue;
      const { method, target, headers, upgrades, closes } = head;
      requests.push({ method, target, headers, body, trailers: parser.trailers, upgrades, closes });
      if (upgrades || method === 'CONNECT') return { requests, fault: undefined, isInHead: false };
      parser.begin();
    }
  }
  const { fault, isTooLarge, isInHead } = parser;
  return { requests, fault: fault === undefined ? fault : isTooLarge ? 'too-large' : 'malformed', isInHead };
};

/** What Node's server reads: requests that came whole, and whether it refused what came. */
export const readAsNode = async (
  octets: Buffer,
): Promise<{ readonly requests: readonly Omit<ReadRequest, 'closes'>[]; readonly isRefused: boolean }> => {
  const read: (Omit<ReadRequest, 'closes'> | undefined)[] = [];
  let isRefused = false;
  const server = createServer({ requireHostHeader: false, maxHeaderSize: 32_768 });
  const take = (request: IncomingMessage, upgrades: boolean): void => {
    let body = '';
    // In the order in which they begin.
    const place = read.push(undefined) - 1;
    const note = (): void => {
      const { method = '', url = '', rawHeaders, rawTrailers } = request;
      read[place] = { method, target: url, headers: rawHeaders, body, trailers: rawTrailers, upgrades };
    };
    if (upgrades) note();
    else
      request
        .on('data', (chunk: Buffer) => {
          body += chunk.toString('latin1');
        })
        .on('end', note)
        .on('error', () => undefined);
  };
  server.on('request', (request, response) => {
    take(request, false);
    request.on('end', () => response.end());
  });
  server.on('upgrade', (request) => take(request, true));
  server.on('connect', (request) => take(request, true));
  for (const event of ['checkContinue', 'checkExpectation'])
    server.on(event, (request: IncomingMessage, response: ServerResponse) => {
      take(request, false);
      request.on('end', () => response.end());
    });
  server.on('clientError', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ECONNRESET') isRefused = true;
  });
  const [ours, theirs] = duplexPair();
  server.emit('connection', theirs);
  ours.resume();
  ours.on('error', () => undefined);
  theirs.on('error', () => undefined);
  ours.write(octets);
  for (let turn = 0; turn < 12; turn++) await new Promise((resolve) => setImmediate(resolve));
  ours.destroy();
  theirs.destroy();
  const unfinished = read.indexOf(undefined);
  const requests = unfinished === -1 ? read : read.slice(0, unfinished);
  return { requests: requests as Omit<ReadRequest, 'closes'>[], isRefused };
};
