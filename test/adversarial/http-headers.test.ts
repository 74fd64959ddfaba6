import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectAllowed, expectDenied } from '../testkit/attack.ts';
import { forgeChain } from '../testkit/forge.ts';
import { type HttpDoors, SPOOFED, startHttpDoors } from '../testkit/http-doors.ts';
import { openSession, type RawRequest, requestText } from '../testkit/raw-peer.ts';

let doors: HttpDoors;
beforeAll(async () => {
  doors = await startHttpDoors();
});
afterAll(() => doors.stop());

const planning = () => doors.mesh.domain.agent('planning/abc123');
const chain = (): string =>
  forgeChain(doors.mesh.domain, [planning()], { scope: ['cloud:read', 'cloud:write'] });
const ask = (request: RawRequest): string => requestText({ chain: chain(), ...request });

describe('headers that claim what only we may say', () => {
  it('none of them gets through in any spelling, and what was verified stands once', async () => {
    const peer = await openSession(doors.target, planning());
    const text = ask({ headers: SPOOFED.map((name) => `${name}: spoofed`) });
    expect((await peer.ask(text)).status).toBe(200);
    const seen = doors.target.seen.at(-1);
    expect(JSON.stringify(seen)).not.toContain('spoofed');
    const names = (seen?.rawHeaders ?? [])
      .filter((_, index) => index % 2 === 0)
      .map((name) => name.toLowerCase());
    for (const name of [
      'hopgate-principal',
      'hopgate-caller',
      'hopgate-task',
      'hopgate-scope',
      'hopgate-hop',
      'hopgate-assertion',
      'x-forwarded-client-cert',
      'host',
    ])
      expect(names.filter((one) => one === name)).toHaveLength(1);
    expect(names.filter((name) => name.includes('_'))).toEqual([]);
    expect(seen?.headers).toMatchObject({
      'hopgate-principal': 'mailto:alice@company.com',
      'hopgate-caller': planning().id,
      'hopgate-hop': peer.hop,
    });
    expect(seen?.headers).not.toHaveProperty('hopgate-context');
    peer.close();
  });

  it('what Connection names is dropped, but not what the agent relies on', async () => {
    await expectAllowed(doors.target, planning(), {
      chain: chain(),
      headers: [
        'Connection: close, X-Secret, Host, hopgate-caller, x-forwarded-client-cert, Authorization',
        'X-Secret: 1',
        'Authorization: Bearer kept',
        'X-Kept: 1',
      ],
    });
    const headers = doors.target.seen.at(-1)?.headers;
    expect(headers).toMatchObject({
      host: 'inventory.mesh',
      authorization: 'Bearer kept',
      'x-kept': '1',
      'hopgate-caller': planning().id,
    });
    expect(headers).not.toHaveProperty('x-secret');
    expect(headers?.['x-forwarded-client-cert']).toContain(planning().id);
  });

  it.each([
    ['hopgate=stolen', undefined],
    ['a=1,hopgate=stolen,b=2', 'a=1,b=2'],
    ['hopgate=one , hopgate=two,c=3', 'c=3'],
    ['HOPGATE=stolen,d=4', 'd=4'],
    ['hopgate =stolen,e=5', 'e=5'],
  ])('tracestate "%s"', async (value, rest) => {
    const held = chain();
    await expectAllowed(doors.target, planning(), { chain: held, headers: [`tracestate: ${value}`] });
    expect(doors.target.seen.at(-1)?.headers.tracestate).toBe(rest);
    const grant = doors.mesh.domain.mintGrant(held, planning(), doors.target.agent, {
      scope: ['cloud:read'],
    });
    await expectAllowed(doors.target, planning(), {
      chain: held,
      grant,
      headers: [`Tracestate: ${value}`, 'X-Word: tracestate', 'X-Next: 1'],
    });
    const headers = doors.target.seen.at(-1)?.headers;
    expect(headers).toMatchObject({ 'x-word': 'tracestate', 'x-next': '1' });
    expect(headers?.tracestate).toBe(
      [`hopgate=${headers?.['hopgate-context']}`, ...(rest === undefined ? [] : [rest])].join(','),
    );
  });

  it('two handles that disagree', async () => {
    await expectDenied(
      doors.target,
      planning(),
      { chain: chain(), headers: ['Hopgate-Context: a', 'tracestate: hopgate=b'] },
      'context_conflict',
    );
  });

  it('no request inherits the context, the headers or the body of the one before', async () => {
    const peer = await openSession(doors.target, planning());
    const held = chain();
    const grant = doors.mesh.domain.mintGrant(held, planning(), doors.target.agent, {
      scope: ['cloud:read'],
    });
    const contexts: unknown[] = [];
    for (const one of [grant, undefined, grant, undefined]) {
      expect(
        (
          await peer.ask(
            requestText({ chain: held, grant: one, headers: one === undefined ? [] : ['X-Mark: 1'] }),
          )
        ).status,
      ).toBe(200);
      const headers = doors.target.seen.at(-1)?.headers;
      expect(headers?.['x-mark']).toBe(one === undefined ? undefined : '1');
      expect(headers?.tracestate === undefined).toBe(one === undefined);
      contexts.push(headers?.['hopgate-context']);
    }
    expect(contexts[0]).not.toBe(contexts[2]);
    expect(contexts.filter((context) => context === undefined)).toHaveLength(2);
    expect((await peer.ask(requestText({}))).code).toBe('chain_missing');
    peer.close();
  });
});
