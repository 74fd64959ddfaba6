/** The demo as people see it. */
import path from 'node:path';
import type { AuditReport } from '../audit-verify.ts';
import { shellWord } from '../shell-word.ts';
import { paint, print, table } from '../terminal.ts';
import { renderTrace } from '../trace-tree.ts';
import { MAIN } from './programs.ts';
import { ProgressBar } from './progress-bar.ts';
import type { AttackResult, Audience, DemoResult } from './run.ts';
import { AGENTS, ALICE, API_ROLES, APIS, CARD_PATH, hostOf, PURPOSE, TRUST_DOMAIN } from './story.ts';
import { TAKEN_BACK, type TakenBack } from './take-back.ts';

const ALICE_SHORT = ALICE.uri.replace(/^mailto:/, '');

export class StoryTeller implements Audience {
  private readonly bar = new ProgressBar('actions', process.stdout);
  private readonly attacks: AttackResult[] = [];

  start(): void {
    print(paint('bold', `The quarterly infrastructure review of ${TRUST_DOMAIN}`));
    print(
      `Five agents and four APIs, each behind a sidecar process of its own, enrolled at a Trust Verifier that is on no request's path. No shared key; every hop over mTLS, with a handshake and a delegation chain.`,
    );
  }

  meshReady(seconds: number): void {
    const agents = Object.values(AGENTS).join('  ');
    print(`\n  agents  ${agents}\n  APIs    ${API_ROLES.map((role) => APIS[role]).join('  ')}`);
    print(
      paint(
        'dim',
        `  ${Object.keys(AGENTS).length + API_ROLES.length} sidecars ready in ${seconds.toFixed(1)} s`,
      ),
    );
  }

  taskStarted(_task: string, scope: string): void {
    print(`\n${ALICE_SHORT} asks ${AGENTS.planning}: “${PURPOSE}”, and grants it ${scope} for an hour.`);
    print('It asks the four others over A2A; each gets less than it holds, and calls one API.\n');
  }

  acted(done: number, of: number): void {
    if (done <= of) this.bar.show(done, of);
  }

  reviewed(trace: DemoResult['trace']): void {
    print(`\n${renderTrace(trace, process.stdout.columns)}`);
    print(`\n${paint('bold', 'Now the attacks, through sockets, on the running mesh')}`);
    print(
      `One attacker has taken over a second inventory agent that planning knows, and an accomplice a workload without a task.\n`,
    );
  }

  attacked(result: AttackResult, of: number): void {
    this.attacks.push(result);
    if (process.stdout.isTTY) process.stdout.write(`\r\u001b[K${this.attacks.length} of ${of} attacks`);
    if (this.attacks.length < of) return;
    if (process.stdout.isTTY) process.stdout.write('\r\u001b[K');
    print(
      table(
        ['ATTACK', 'THE ATTACKER HAS', 'REFUSED BY', 'REASON'],
        this.attacks.map(({ attack, got }) => [
          attack.name,
          attack.has,
          attack.at,
          paint(got === attack.expected ? 'green' : 'red', got),
        ]),
      ),
    );
    const refused = this.attacks.filter(({ attack, got }) => got === attack.expected).length;
    print(
      `\n${refused} of ${of} refused for the right reason, each on record, none seen by the agent behind.\n`,
    );
  }

  takenBack({ got, enforcing, milliseconds }: TakenBack): void {
    print(`${ALICE_SHORT} takes her task back, with her own key at the verifier:`);
    print(`  ${enforcing} sidecars report within ${milliseconds} ms that they enforce it`);
    print(
      `  ${AGENTS.planning} asks ${hostOf('inventory')} once more: ${paint(got === TAKEN_BACK ? 'green' : 'red', got)}\n`,
    );
  }

  verified({ ok, files, unmatched }: AuditReport): void {
    print(
      ok && unmatched.length === 0
        ? paint(
            'green',
            `audit verify: no fault in ${recordsOf(files)} records of ${files.length} logs, which agree on every hop`,
          )
        : paint('red', 'audit verify: the logs are at fault'),
    );
  }

  end(faults: readonly string[], seconds: number): void {
    for (const fault of faults) print(paint('red', `not as it should be: ${fault}`));
    print(`${faults.length === 0 ? 'All as it should be' : 'Failed'}, in ${seconds.toFixed(1)} s.`);
  }

  keep({ mesh, task }: DemoResult): void {
    const planning = `agents/${path.basename(mesh.folderOf(AGENTS.planning))}`;
    print(`\n${paint('bold', 'The mesh goes on until Ctrl-C. In another shell:')}`);
    for (const line of [
      `cd ${shellWord(mesh.directory)}`,
      `hopgate() { ${shellWord(process.execPath)} ${shellWord(MAIN)} "$@"; }`,
      `hopgate trace -- ${shellWord(task)} agents/*/state/audit.log`,
      'hopgate logs --verdict deny agents/*/state/audit.log',
      `hopgate audit verify --bundle ${planning}/bundle.jws --root=${shellWord(mesh.trust.root)} agents/*/state/audit.log`,
      'hopgate status',
      `hopgate delegate --as ${ALICE.name} --to ${AGENTS.planning} --scope infrastructure:review --out task.chain`,
      `HANDLE=$(hopgate task start --chain task.chain --config ${planning}/sidecar.yaml)`,
      `curl -x "$(cat ${planning}/state/proxy-url)" -H "Hopgate-Context: $HANDLE" http://${hostOf('inventory')}${CARD_PATH}`,
      "hopgate revoke task task.chain --why 'enough'",
    ])
      print(`  ${line}`);
  }
}

export const recordsOf = (files: AuditReport['files']): number =>
  files.reduce((sum, { records }) => sum + records, 0);

/** Nobody listens: what there is to say comes at the end, for programs. */
export const SILENT: Audience = {
  meshReady: () => undefined,
  taskStarted: () => undefined,
  acted: () => undefined,
  reviewed: () => undefined,
  attacked: () => undefined,
  takenBack: () => undefined,
  verified: () => undefined,
};
