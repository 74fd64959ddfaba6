import * as undici from 'undici';
import { expect, it } from 'vitest';
import { Client, Pool } from '../../../../src/edge/http/undici.ts';

it('loads the dispatchers that undici exports, and no copies of them', () => {
  expect(Client).toBe(undici.Client);
  expect(Pool).toBe(undici.Pool);
});
