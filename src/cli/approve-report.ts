/** What an approver sees: all that the signature will be over, and what helps to judge it. */
import type { Approval } from '../api/approvals.ts';
import { paint, print, printable, printError, printJson, table } from './terminal.ts';
import { describeExpiry, describeMoment, nowSeconds } from './time-words.ts';

type Row = readonly [name: string, value: string];

const summaryOf = ({ wish }: Approval): string =>
  wish.kind === 'request'
    ? `${wish.method} ${wish.target} at ${wish.callee}`
    : `${wish.scope.join(' ')} to ${wish.delegatee}`;

const askerOf = ({ wish }: Approval): string =>
  wish.kind === 'request' ? `${wish.principal} through ${wish.caller}` : wish.principal;

/** What is approved, member by member; beside the signature's own times there is nothing else in it. */
const termsOf = ({ wish }: Approval): readonly Row[] =>
  wish.kind === 'request'
    ? [
        ['principal', wish.principal],
        ['caller', wish.caller],
        ['callee', wish.callee],
        ['method', wish.method],
        ['target', wish.target],
        ['body', `SHA-256 ${wish.body}`],
        ['chain', wish.chain],
      ]
    : [
        ['principal', wish.principal],
        ['delegatee', wish.delegatee],
        ['scope', wish.scope.join(' ')],
        ['parent', wish.parent],
      ];

/** Said by who asks; no part of what is signed. */
const circumstancesOf = ({ wish, asked, ends, state, decided }: Approval, now: number): readonly Row[] => [
  ['state', state],
  ...(wish.kind === 'request'
    ? ([
        ['needs', wish.scopes.join(' ')],
        ['agents', wish.agents.join(' → ')],
      ] satisfies Row[])
    : []),
  ...(wish.purpose === undefined ? [] : ([['purpose', wish.purpose]] satisfies Row[])),
  ['asked', `${describeMoment(asked.at, now)} by ${asked.by}`],
  ['', describeExpiry(ends, now)],
  ...(decided === undefined
    ? []
    : ([['decided', `${describeMoment(decided.at, now)} by ${decided.by}: ${decided.why}`]] satisfies Row[])),
];

const printRows = (rows: readonly Row[]): void => {
  for (const [name, value] of rows) print(`  ${name.padEnd(10)}${printable(value)}`);
};

export const printApproval = (approval: Approval, json: boolean): void => {
  if (json) {
    printJson({ ok: true, approval });
    return;
  }
  print(paint('bold', `approval of ${approval.wish.kind === 'request' ? 'one request' : 'a delegation'}`));
  print(`  ${'id'.padEnd(10)}${approval.id}`);
  printRows(termsOf(approval));
  print('');
  printRows(circumstancesOf(approval, nowSeconds()));
};

export const printApprovals = (approvals: readonly Approval[], json: boolean): void => {
  if (json) {
    printJson({ ok: true, approvals });
    return;
  }
  if (approvals.length === 0) {
    printError('Nothing waits for an approver.');
    return;
  }
  const now = nowSeconds();
  print(
    table(
      ['ID', 'STATE', 'WHAT', 'ASKED BY', 'ASKED'],
      approvals.map((one) => [
        one.id,
        one.state === 'pending' ? paint('yellow', one.state) : one.state,
        printable(summaryOf(one)),
        printable(askerOf(one)),
        describeMoment(one.asked.at, now),
      ]),
    ),
  );
};
