import { expect, test } from 'vitest';
import {
  formatJoinString,
  type JoinString,
  parseJoinString,
} from '../../../../src/core/trust/join-string.ts';

const JOIN = {
  token: Buffer.alloc(32, 1).toString('base64url'),
  root: Buffer.alloc(32, 2).toString('base64url'),
  id: 'spiffe://company.com/agent/planning/1',
  verifiers: ['verifier.company.com:14300', '[::1]:14300'],
} as unknown as JoinString;

test('goes there and back on one line', () => {
  const text = formatJoinString(JOIN);
  expect(text).toMatch(/^hopgate-join:[A-Za-z0-9_-]+$/);
  expect(parseJoinString(text)).toEqual({ ok: true, value: JOIN });
});

test.each([
  ['cut at its end', formatJoinString(JOIN).slice(0, -2)],
  ['cut at its beginning', formatJoinString(JOIN).slice(8)],
  ['with a line break', formatJoinString(JOIN).replace(/.{40}$/, '\n$&')],
  ['with padding', `${formatJoinString(JOIN)}=`],
  ['nothing', ''],
  ['no verifier', formatJoinString({ ...JOIN, verifiers: [] })],
  ['a URL for an address', formatJoinString({ ...JOIN, verifiers: ['https://verifier:1/'] })],
  ['an address with user and host', formatJoinString({ ...JOIN, verifiers: ['a@b:1'] })],
  ['port 0', formatJoinString({ ...JOIN, verifiers: ['verifier:0'] })],
  ['another ID', formatJoinString({ ...JOIN, id: 'spiffe://company.com/verifier' as never })],
  ['a short token', formatJoinString({ ...JOIN, token: 'AAAA' })],
])('%s: refused, and nothing of it is repeated', (_name, text) => {
  const parsed = parseJoinString(text);
  expect(parsed.ok).toBe(false);
  expect(JSON.stringify(parsed)).not.toContain(JOIN.token);
});
