/**
 * The head of a request, written. What could end a line early, or say a second time how the body is framed, is never written:
 * whoever made the request has looked already, and this is the last place where it can be seen.
 */
import type { UpstreamRequest } from './upstream.ts';

// An octet above 0xff would be cut down to its lowest eight bits on the wire: U+010A to an LF.
const UNFIT_VALUE = /[\0\r\n\u0100-\uffff]/;
const UNFIT_NAME = /[^!#$%&'*+\-.^_`|~0-9A-Za-z]/;
const UNFIT_TARGET = /[^\x21-\x7e]/;
const DIGITS = /^[0-9]{1,15}$/;
const EXPECTS_BODY = new Set(['POST', 'PUT', 'PATCH']);

/** Octets of body that a head announces; -1 where they come in chunks. */
export interface Announced {
  announced: number;
}

const isFraming = (name: string): boolean => {
  switch (name.length) {
    case 7:
    case 10:
    case 16:
    case 17:
      break;
    default:
      return false;
  }
  const folded = name.toLowerCase();
  return (
    folded === 'connection' ||
    folded === 'transfer-encoding' ||
    folded === 'keep-alive' ||
    folded === 'upgrade' ||
    folded === 'proxy-connection'
  );
};

const isFit = (name: string, value: string): boolean =>
  name !== '' && !UNFIT_NAME.test(name) && !UNFIT_VALUE.test(value);

/** The head with its empty line, in Latin-1; undefined if the request is not fit to be sent. */
export const requestHead = (request: UpstreamRequest, found: Announced): string | undefined => {
  const { method, target, headers, body } = request;
  const upgrade = request.upgrade === true;
  if (method === '' || method === 'CONNECT' || UNFIT_NAME.test(method)) return undefined;
  if ((target[0] !== '/' && target !== '*') || UNFIT_TARGET.test(target)) return undefined;
  if (upgrade && body !== null) return undefined;
  let text = `${method} ${target} HTTP/1.1\r\n`;
  let length = -1;
  let hosts = 0;
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string;
    const value = headers[at + 1] as string;
    if (!isFit(name, value) || isFraming(name)) return undefined;
    if (name.length === 4 && name.toLowerCase() === 'host') hosts++;
    else if (name.length === 14 && name.toLowerCase() === 'content-length') {
      if (length !== -1 || !DIGITS.test(value)) return undefined;
      length = Number(value);
    }
    text += `${name}: ${value}\r\n`;
  }
  if (hosts !== 1) return undefined;
  if (upgrade) text += 'connection: upgrade\r\nupgrade: websocket\r\n';
  else if (request.readsTrailers === true) text += 'te: trailers\r\nconnection: te\r\n';
  const known = body === null ? 0 : Buffer.isBuffer(body) ? body.length : -1;
  if (known !== -1) {
    if (length !== -1 && length !== known) return undefined;
    if (length === -1 && (known > 0 || EXPECTS_BODY.has(method))) text += `content-length: ${known}\r\n`;
    found.announced = known;
  } else {
    if (length === -1) text += 'transfer-encoding: chunked\r\n';
    found.announced = length;
  }
  return `${text}\r\n`;
};

const NOT_IN_TRAILERS = /^(?:content-length|host|te|trailer)$/i;

/** The end of a body in chunks, with its trailers; undefined if they are not fit to be sent. */
export const lastChunk = (trailers: readonly string[]): string | undefined => {
  let text = '0\r\n';
  for (let at = 0; at < trailers.length; at += 2) {
    const name = trailers[at] as string;
    const value = trailers[at + 1] as string;
    if (!isFit(name, value) || isFraming(name) || NOT_IN_TRAILERS.test(name)) return undefined;
    text += `${name}: ${value}\r\n`;
  }
  return `${text}\r\n`;
};
