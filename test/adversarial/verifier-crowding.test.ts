/** Attacks on the verifier's door: one who would leave no room there, no patience and no disk for all the others. */

import { EventEmitter } from 'node:events';
import { Agent, request } from 'node:https';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Connections } from '../../src/verifier/service/connections.ts';
import { DEFAULT_LIMITS } from '../../src/verifier/service/service.ts';
import { RunningVerifier } from '../testkit/running-verifier.ts';

let running: RunningVerifier;
const agents: Agent[] = [];
beforeEach(async () => {
  running = await RunningVerifier.start();
});
afterEach(async () => {
  for (const agent of agents.splice(0)) agent.destroy();
  await running.stop();
});

type Tls = { readonly cert: string; readonly key: string };
interface Answer {
  readonly status: number;
  readonly code: string;
}

const ask = (
  tls: Tls | undefined,
  method: string,
  path: string,
  body?: object,
  agent?: Agent,
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const octets = body === undefined ? '' : JSON.stringify(body);
    const sent = request(
      {
        host: '127.0.0.1',
        port: running.port,
        method,
        path,
        rejectUnauthorized: false,
        ...tls,
        ...(agent !== undefined && { agent }),
        headers:
          body === undefined ? {} : { 'content-type': 'application/json', 'content-length': octets.length },
      },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8');
        answer.on('data', (chunk: string) => {
          text += chunk;
        });
        answer.on('end', () => {
          const code = /"code":"([a-z_]+)"/.exec(text)?.[1] ?? '';
          resolve({ status: answer.statusCode ?? 0, code });
        });
      },
    );
    sent.on('error', reject);
    sent.end(octets);
  });
const keepAlive = (tls?: Tls): Agent => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ...tls });
  agents.push(agent);
  return agent;
};

describe('connections', () => {
  it('of one member end at a bound, and the next member still gets in', async () => {
    const greedy = await running.identity('planning/1');
    for (let n = 0; n < DEFAULT_LIMITS.perMember; n++) {
      const { status } = await ask(greedy, 'GET', '/v1/timestamp', undefined, keepAlive(greedy));
      expect(status).toBe(200);
    }
    expect(await ask(greedy, 'GET', '/v1/timestamp')).toEqual({ status: 429, code: 'api_busy' });
    const other = await running.identity('planning/2');
    expect((await ask(other, 'GET', '/v1/timestamp')).status).toBe(200);
    // What it has goes on, and what it gives back it may have again.
    expect((await ask(greedy, 'GET', '/v1/timestamp', undefined, agents[0])).status).toBe(200);
  }, 30_000);

  class FakeSocket extends EventEmitter {
    readonly remoteAddress: string;
    readonly remotePort: number;
    destroyed = false;
    constructor(remoteAddress: string, remotePort: number) {
      super();
      this.remoteAddress = remoteAddress;
      this.remotePort = remotePort;
    }
    destroy(): void {
      this.destroyed = true;
      this.emit('close');
    }
  }
  const limits = {
    connections: 1000,
    strangers: 8,
    strangersPerSource: 4,
    perMember: 2,
    pipelined: 4,
    pipelinedByStranger: 2,
  };
  let port = 0;
  const arrive = (door: Connections, address: string): FakeSocket & { entered: boolean } => {
    const socket = new FakeSocket(address, ++port);
    return Object.assign(socket, { entered: door.enter(socket as unknown as Socket) });
  };

  it('of strangers: a whole /64 is one source', () => {
    const door = new Connections(limits);
    const all = Array.from({ length: 6 }, (_, n) => arrive(door, `2001:db8::${n}`));
    expect(all.filter(({ entered }) => entered)).toHaveLength(4);
    expect(arrive(door, '2001:db8:0:1::1').entered).toBe(true);
  });

  it('of strangers carry fewer requests at once than those of members', () => {
    const door = new Connections(limits);
    const socket = arrive(door, '192.0.2.1') as unknown as Socket;
    expect([1, 2, 3].map(() => door.begin(socket))).toEqual([true, true, false]);
    expect(door.prove(socket, 'spiffe://company.com/agent/planning/1')).toBe(true);
    expect([4, 5].map(() => door.begin(socket))).toEqual([true, false]);
  });

  it('of strangers: two who hold every place give one up for each who comes', () => {
    const door = new Connections(limits);
    const greedy = ['192.0.2.1', '192.0.2.2'].flatMap((address) =>
      Array.from({ length: 4 }, () => arrive(door, address)),
    );
    const comers = Array.from({ length: 4 }, (_, n) => arrive(door, `198.51.100.${n}`));
    expect(comers.every(({ entered }) => entered)).toBe(true);
    expect(greedy.filter(({ destroyed }) => destroyed)).toHaveLength(4);
    expect(comers.some(({ destroyed }) => destroyed)).toBe(false);
    // And where nobody has more than a fair part, full means refuse.
    expect(arrive(door, '192.0.2.1').entered).toBe(false);
  });
});

describe('wrong secrets', () => {
  it('of a stranger don’t keep a member behind the same address from renewing', async () => {
    const member = await running.identity('planning/1');
    const evidence = { method: 'join', token: 'A'.repeat(43) };
    const wrong = { evidence, csr: 'x', proof: 'x' };
    for (let n = 0; n < 12; n++) await ask(undefined, 'POST', '/v1/enrolments', wrong);
    expect((await ask(undefined, 'POST', '/v1/enrolments', wrong)).code).toBe('api_busy');
    const renewal = { evidence: { method: 'svid' }, csr: 'x', proof: 'x' };
    expect((await ask(member, 'POST', '/v1/renewals', renewal)).code).toBe('enrolment_proof');
    // Its own count against itself, wherever it comes from.
    for (let n = 0; n < 12; n++) await ask(member, 'POST', '/v1/renewals', renewal);
    expect((await ask(member, 'POST', '/v1/renewals', renewal)).code).toBe('api_busy');
  });
});

describe('changes', () => {
  it('of one member come at a bounded pace, and nobody else waits for it', async () => {
    const greedy = await running.identity('planning/1');
    const agent = keepAlive(greedy);
    const codes = new Map<string, number>();
    for (let n = 0; n < DEFAULT_LIMITS.pace.burst + 50; n++) {
      const { code } = await ask(greedy, 'POST', '/v1/reports', {}, agent);
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    expect(codes.get('api_busy')).toBeGreaterThan(20);
    // Junk that is dear to read counts for what it costs.
    const large = await running.identity('planning/3');
    const outcomes = Object.fromEntries(Array.from({ length: 40_000 }, (_, n) => [`k${n}`, 1]));
    const answers: string[] = [];
    for (let n = 0; n < 8; n++)
      answers.push((await ask(large, 'POST', '/v1/reports', { others: { outcomes } })).code);
    expect(answers.filter((code) => code === 'api_malformed').length).toBeLessThan(6);
    expect(answers.at(-1)).toBe('api_busy');
    const other = await running.identity('planning/2');
    expect((await ask(other, 'POST', '/v1/reports', {})).code).toBe('api_malformed');
    // It still hears what all must hear.
    expect((await ask(greedy, 'GET', '/v1/timestamp', undefined, agent)).status).toBe(200);
  });
});
