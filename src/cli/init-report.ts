/** What `hopgate init` says when it is done. */
import path from 'node:path';
import type { Addition, Renewal, RenewedAgent } from '../verifier/local/domain.ts';
import { AGENT_FILES, agentIdIn, type DomainState, layoutOf, portsOf } from '../verifier/local/layout.ts';
import { STARTER_SCOPE_SET } from '../verifier/policy/starter-policy.ts';
import { shellWord } from './shell-word.ts';
import { print, printJson, table } from './terminal.ts';
import { describeExpiry, describeMoment, formatTime } from './time-words.ts';

const sidecarFile = (dir: string, name: string): string =>
  path.join(layoutOf(dir).agent(name), AGENT_FILES.sidecar);

const agentData = (dir: string, state: DomainState, name: string, notAfter: number) => {
  const ports = portsOf(state.agents.indexOf(name));
  return {
    name,
    id: agentIdIn(state.trustDomain, name),
    config: sidecarFile(dir, name),
    inbound: `127.0.0.1:${ports.inbound}`,
    outbound: `127.0.0.1:${ports.outbound}`,
    health: `127.0.0.1:${ports.health}`,
    metrics: `127.0.0.1:${ports.metrics}`,
    agent: `127.0.0.1:${ports.agent}`,
    notAfter: formatTime(notAfter),
  };
};

const domainData = (dir: string, state: DomainState, agents: readonly RenewedAgent[], bundleExp: number) => ({
  directory: dir,
  trustDomain: state.trustDomain,
  root: state.root,
  epoch: state.epoch,
  seq: state.seq,
  bundleExpires: formatTime(bundleExp),
  agents: agents.map(({ name, notAfter }) => agentData(dir, state, name, notAfter)),
});

const agentTable = (dir: string, state: DomainState, agents: readonly RenewedAgent[]): string =>
  table(
    ['AGENT', 'AGENT LISTENS', 'ITS PROXY', 'PEERS CONNECT', 'HEALTH', 'SIDECAR FILE'],
    agents
      .map(({ name, notAfter }) => agentData(dir, state, name, notAfter))
      .map(({ name, agent, outbound, inbound, health, config }) => [
        name,
        agent,
        outbound,
        inbound,
        health,
        config,
      ]),
  );

const principalTable = (dir: string, state: DomainState, names: readonly string[]): string =>
  table(
    ['PRINCIPAL', 'URI', 'KEY'],
    names.map((name) => [name, state.principals[name] ?? '', layoutOf(dir).principalKey(name)]),
  );

const principalData = (dir: string, state: DomainState, names: readonly string[]) =>
  names.map((name) => ({
    name,
    principal: state.principals[name],
    key: layoutOf(dir).principalKey(name),
  }));

/** The commands that come next, to paste. */
const nextCommands = (dir: string, state: DomainState): string => {
  const [first = ''] = state.agents;
  const [principal = ''] = Object.keys(state.principals);
  const folder = shellWord(dir);
  const config = shellWord(sidecarFile(dir, first));
  return [
    'Next, each sidecar in a terminal of its own:',
    ...state.agents.map((name) => `  hopgate sidecar --config ${shellWord(sidecarFile(dir, name))}`),
    `Give ${first} a task:`,
    `  hopgate delegate --dir ${folder} --as ${principal} --to ${first} --scope ${STARTER_SCOPE_SET} --out task.chain`,
    `  hopgate task start --chain task.chain --config ${config}`,
    'Keep the credentials fresh:',
    `  hopgate init ${folder} --renew --watch`,
  ].join('\n');
};

export const reportCreation = (dir: string, state: DomainState, now: number, json: boolean): void => {
  const agents = state.agents.map((name) => ({ name, notAfter: now + state.svidTtlSeconds }));
  const principals = Object.keys(state.principals);
  const bundleExp = now + state.bundleTtlSeconds;
  if (json) {
    printJson({
      made: true,
      ...domainData(dir, state, agents, bundleExp),
      principals: principalData(dir, state, principals),
    });
    return;
  }
  print(`Made the trust domain ${state.trustDomain} in ${dir}, root ${state.root}\n`);
  print(`${agentTable(dir, state, agents)}\n`);
  print(`${principalTable(dir, state, principals)}\n`);
  print(
    `Credentials expire ${describeMoment(now + state.svidTtlSeconds, now)}, the bundle ${describeMoment(bundleExp, now)}.`,
  );
  print(`What the mesh allows stands in ${layoutOf(dir).policy}.\n`);
  print(nextCommands(dir, state));
};

export const reportAddition = (dir: string, addition: Addition, now: number, json: boolean): void => {
  const { state, agents, principals, leftAlone } = addition;
  if (json) {
    printJson({
      added: true,
      ...domainData(dir, state, agents, now + state.bundleTtlSeconds),
      principals: principalData(dir, state, principals),
      leftAlone: leftAlone.map(({ file }) => file),
    });
    return;
  }
  print(`Added to ${state.trustDomain} in ${dir}; the bundle is now ${state.epoch}.${state.seq}\n`);
  if (agents.length > 0) print(`${agentTable(dir, state, agents)}\n`);
  if (principals.length > 0) print(`${principalTable(dir, state, principals)}\n`);
  for (const { file, routes } of leftAlone)
    print(`${file} was changed by hand and is left alone; these are all its outbound routes:\n${routes}`);
};

export const reportRenewal = (
  dir: string,
  renewal: Renewal,
  now: number,
  json: boolean,
  next?: number,
): void => {
  const { state, agents, bundleExp } = renewal;
  if (json) {
    printJson({
      renewed: true,
      ...domainData(dir, state, agents, bundleExp),
      ...(next !== undefined && { next: formatTime(next) }),
    });
    return;
  }
  print(`${formatTime(now)} renewed ${state.trustDomain} in ${dir}`);
  print(
    table(
      ['WHAT', 'UNTIL'],
      [
        ...agents.map(({ name, notAfter }) => [name, describeExpiry(notAfter, now)]),
        [`bundle ${state.epoch}.${state.seq}`, describeExpiry(bundleExp, now)],
      ],
    ),
  );
  if (next !== undefined) print(`next ${describeMoment(next, now)}\n`);
};
