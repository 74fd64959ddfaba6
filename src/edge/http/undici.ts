/**
 * undici's dispatchers without the rest of undici (fetch, WebSocket, caches), which its index loads: 11 MiB that a sidecar
 * never uses. The package has no export map, so these files are reachable; a test holds that they are the real ones.
 */
import type { Dispatcher, Client as UndiciClient, Pool as UndiciPool } from 'undici';
import requestOn from 'undici/lib/api/api-request.js';
import clientFile from 'undici/lib/dispatcher/client.js';
import poolFile from 'undici/lib/dispatcher/pool.js';

export const Client = clientFile;
export type Client = UndiciClient;
export const Pool = poolFile;
export type Pool = UndiciPool;

/** `dispatcher.request(options)`, which the index would give to every dispatcher. */
export const request = (
  dispatcher: Dispatcher,
  options: Dispatcher.RequestOptions,
): Promise<Dispatcher.ResponseData> => requestOn.call(dispatcher, options);
