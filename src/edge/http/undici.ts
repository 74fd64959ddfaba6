/**
 * undici's dispatchers without the rest of undici (fetch, WebSocket, caches), which its index loads: 11 MiB that a sidecar
 * never uses. The package has no export map, so these files are reachable; a test holds that they are the real ones.
 */
import { createRequire } from 'node:module';
import type { Dispatcher, Client as UndiciClient, Pool as UndiciPool } from 'undici';

const require = createRequire(import.meta.url);

export const Client = require('undici/lib/dispatcher/client.js') as typeof UndiciClient;
export type Client = UndiciClient;
export const Pool = require('undici/lib/dispatcher/pool.js') as typeof UndiciPool;
export type Pool = UndiciPool;

const requestOn = require('undici/lib/api/api-request.js') as (
  this: Dispatcher,
  options: Dispatcher.RequestOptions,
) => Promise<Dispatcher.ResponseData>;

/** `dispatcher.request(options)`, which the index would give to every dispatcher. */
export const request = (
  dispatcher: Dispatcher,
  options: Dispatcher.RequestOptions,
): Promise<Dispatcher.ResponseData> => requestOn.call(dispatcher, options);
