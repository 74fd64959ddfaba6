/** Connections to a service of the operator's: https, http on this machine, or a unix socket; with a bearer token from a file. */
import { readFileSync } from 'node:fs';
import { Pool } from '../http/undici.ts';

export interface Service {
  readonly pool: Pool;
  /** Path that goes before every other, without a final slash. */
  readonly path: string;
  /** As in the URL, behind the path; with its question mark. */
  readonly query: string;
}

export interface ServiceOptions {
  readonly url: string;
  /** PEM; undefined is the system's. */
  readonly ca: string | undefined;
  readonly connections: number;
  readonly connectMs: number;
}

const KEEP_ALIVE_MS = 4000;

/** Opens no connection. */
export const openService = ({ url, ca, connections, connectMs }: ServiceOptions): Service => {
  const socketPath = url.startsWith('unix:') ? url.slice('unix:'.length) : undefined;
  const { origin, pathname, search } = new URL(socketPath === undefined ? url : 'http://localhost/');
  const pool = new Pool(origin, {
    connections,
    pipelining: 1,
    // Our callers have limits for the whole of an exchange.
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connect: {
      timeout: connectMs,
      ...(socketPath === undefined ? {} : { socketPath }),
      ...(ca === undefined ? {} : { ca }),
    },
  });
  return { pool, path: pathname.replace(/\/+$/, ''), query: search };
};

/** Throws on a file that can't be read. */
export const readCa = (file: string | undefined): string | undefined =>
  file === undefined ? undefined : readFileSync(file, 'utf8');

const TOKEN = /^[A-Za-z0-9._~+/=-]{1,8192}$/;

/** A bearer token (RFC 6750 §2.1) in a file. Throws for what is none; the message has the file's name alone. */
export const readToken = (file: string): string => {
  const token = readFileSync(file, 'utf8').trim();
  if (!TOKEN.test(token)) throw new Error(`${file} holds no bearer token`);
  return token;
};
