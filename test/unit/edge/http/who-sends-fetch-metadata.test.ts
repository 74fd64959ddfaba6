import { describe, expect, it } from 'vitest';
import { readRequestHeaders } from '../../../../src/edge/http/request-headers.ts';

const HOST = ['host', 'inventory.mesh'];

describe('a request that comes from a web page', () => {
  it.each([
    ['origin', 'https://evil.example'],
    ['sec-fetch-site', 'cross-site'],
    ['Sec-Fetch-Dest', 'image'],
    ['sec_fetch_site', 'none'],
  ])('is known by %s', (name, value) => {
    expect(readRequestHeaders([...HOST, name, value]).fromBrowser).toBe(true);
  });

  it('is not taken for one that Node’s fetch sends, which names a mode and no site', () => {
    const headers = readRequestHeaders([...HOST, 'sec-fetch-mode', 'cors', 'user-agent', 'node']);
    expect(headers.fromBrowser).toBe(false);
    expect(headers.forwarded).toContain('sec-fetch-mode');
  });
});
