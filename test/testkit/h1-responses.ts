/** What our parser of responses makes of octets, however they are cut. */
import { ResponseParser } from '../../src/edge/http/h1-response-parser.ts';

export interface ReadResponse {
  readonly informations: readonly (readonly [number, readonly string[]])[];
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: string;
  readonly trailers: readonly string[];
  /** `whole`, `upgrade`, `cut` by the end of the connection, or `malformed`. */
  readonly end: 'whole' | 'upgrade' | 'cut' | 'malformed';
  readonly fault: string | undefined;
  readonly keepsAlive: boolean;
  /** What follows the response. */
  readonly rest: string;
}

export interface Reading {
  readonly method?: string;
  readonly mayUpgrade?: boolean;
}

/** Reads the chunks, and then the end of the connection. */
export const readResponse = (
  chunks: readonly Buffer[],
  { method = 'GET', mayUpgrade = false }: Reading = {},
): ReadResponse => {
  const informations: (readonly [number, readonly string[]])[] = [];
  let status = 0;
  let headers: readonly string[] = [];
  let body = '';
  const parser = new ResponseParser({
    onInformation: (code, fields) => informations.push([code, fields]),
    onHead: (code, fields) => {
      status = code;
      headers = fields;
    },
    onData: (chunk) => {
      body += chunk.toString('latin1');
    },
  });
  parser.begin(method, mayUpgrade);
  let rest = '';
  for (const chunk of chunks) {
    const taken = parser.isWhole ? 0 : parser.push(chunk);
    if (parser.fault !== undefined) break;
    rest += chunk.toString('latin1', taken);
  }
  const isUpgrade = parser.isUpgrade;
  const isWhole = parser.fault === undefined && parser.finish();
  return {
    informations,
    status,
    headers,
    body,
    trailers: isWhole ? parser.trailers : [],
    end: parser.fault !== undefined ? 'malformed' : isUpgrade ? 'upgrade' : isWhole ? 'whole' : 'cut',
    fault: parser.fault,
    keepsAlive: isWhole && parser.keepsAlive,
    rest,
  };
};

export const readWhole = (text: string, reading: Reading = {}): ReadResponse =>
  readResponse([Buffer.from(text, 'latin1')], reading);
