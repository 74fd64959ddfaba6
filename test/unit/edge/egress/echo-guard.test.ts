import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Destination } from '../../../../src/core/policy/destination.ts';
import { apiHeaders, returnedHeaders } from '../../../../src/edge/egress/api-headers.ts';
import { guardEcho } from '../../../../src/edge/egress/echo-guard.ts';

const SECRET = 'sk-aabaabaac0123';

/** What passes of a body that comes in these pieces. */
const passed = (...chunks: string[]): { readonly text: string; readonly reason: string | undefined } => {
  const opened = guardEcho(SECRET, undefined).open(200, ['content-type', 'text/plain'], undefined);
  if (!opened.ok || opened.value === undefined) throw new Error('not opened');
  const { inspector } = opened.value;
  const out: Uint8Array[] = [];
  for (const chunk of chunks) {
    const { pass, denial } = inspector.push(Buffer.from(chunk));
    out.push(...pass);
    if (denial !== undefined) return { text: Buffer.concat(out).toString(), reason: denial.reason };
  }
  out.push(...inspector.end().pass);
  return { text: Buffer.concat(out).toString(), reason: undefined };
};

const splitAt = (text: string, places: readonly number[]): string[] => {
  const sorted = [...new Set(places.map((place) => place % (text.length + 1)))].sort((a, b) => a - b);
  return [0, ...sorted].map((from, at) => text.slice(from, sorted[at]));
};

describe('an answer that has the credential in it', () => {
  it('is cut before half of the credential has come in, however it comes in pieces', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.string(),
        fc.array(fc.nat(), { maxLength: 12 }),
        (before, after, places) => {
          fc.pre(!before.includes('sk-'));
          const { text, reason } = passed(...splitAt(`${before}${SECRET}${after}`, places));
          expect(reason).toBe('egress_credential_shown');
          expect(`${before}${SECRET.slice(0, SECRET.length / 2)}`.startsWith(text)).toBe(true);
        },
      ),
    );
  });
  it('does not show by what is late how a guess of it begins', () => {
    const opened = guardEcho(SECRET, undefined).open(200, [], undefined);
    if (!opened.ok || opened.value === undefined) throw new Error('not opened');
    for (let length = 1; length < SECRET.length / 2; length++) {
      const guess = `guess ${SECRET.slice(0, length)}`;
      expect(Buffer.concat(opened.value.inspector.push(Buffer.from(guess)).pass).toString()).toBe(guess);
    }
  });
  it('and one that has not comes whole', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('sk-', 'a', 'b', 'sk-aab', 'sk-aabaabaac012', '\n'), { maxLength: 20 }),
        (parts) => {
          fc.pre(!parts.join('').includes(SECRET));
          expect(passed(...parts)).toEqual({ text: parts.join(''), reason: undefined });
        },
      ),
    );
  });
  it('in a content coding is refused: nobody could look at it', () => {
    const guard = guardEcho(SECRET, undefined);
    expect(guard.open(200, ['Content-Encoding', 'gzip'], undefined)).toMatchObject({
      reason: 'response_malformed',
    });
    expect(guard.open(200, ['content-encoding', 'identity'], 3).ok).toBe(true);
  });
  it('in a header comes without that header, and never with a cookie', () => {
    const headers = [
      'X-Echo',
      `got ${SECRET}`,
      SECRET,
      'x',
      'Set-Cookie',
      'session=1',
      'Set_Cookie',
      'a=b',
      'Content-Type',
      'text/plain',
      'Location',
      `https://elsewhere.example/?t=${SECRET}`,
      'Authorization',
      'Bearer x',
    ];
    expect(returnedHeaders(headers, SECRET)).toEqual(['Content-Type', 'text/plain']);
    expect(returnedHeaders(['location', 'https://elsewhere.example/'], undefined)).toHaveLength(2);
  });
});

describe('headers of a request that leaves the mesh', () => {
  const github = 'api.github.com:443' as Destination;
  it('carry no credential of the agent’s, the name of the destination, and nothing of the mesh', () => {
    const sent = apiHeaders(
      [
        'Host',
        'API.github.com:80',
        'AUTHORIZATION',
        'Bearer theirs',
        'X-Api-Key',
        'theirs',
        'x_api_key',
        'theirs',
        'Proxy_Authorization',
        'theirs',
        'Cookie',
        'session=theirs',
        'Delegation-Chain',
        'x',
        'hopgate-context',
        'x',
        'Hopgate_Context',
        'x',
        'traceparent',
        '00-1-2-01',
        'tracestate',
        'hopgate=x',
        'baggage',
        'a=b',
        'Accept',
        'text/plain',
      ],
      github,
      'authorization',
    );
    expect(sent).toEqual(['host', 'api.github.com', 'Accept', 'text/plain']);
  });
  it('never the agent’s under the name of ours, in any spelling', () => {
    const sent = apiHeaders(
      ['X-Service-Key', 'a', 'x_service_key', 'b'],
      'api.example.com:8443' as Destination,
      'x-service-key',
    );
    expect(sent).toEqual(['host', 'api.example.com:8443']);
  });
  it('without a credential carry none at all', () => {
    expect(apiHeaders(['authorization', 'Bearer theirs'], github, undefined)).toEqual([
      'host',
      'api.github.com',
    ]);
  });
});
