/** `hopgate verifier events`: the ledger of a verifier, listed or checked. */
import { serviceEndpoints } from '../api/service.ts';
import { isDigest } from '../core/encoding/members.ts';
import type { VerifierClient } from '../edge/verifier/client.ts';
import { LedgerVerifier, readLedgerLine } from '../verifier/ledger.ts';
import { type Command, EXIT, type ExitCode } from './command.ts';
import { usageError, withFaultLines } from './command-faults.ts';
import { paint, print, printable, printJson, table } from './terminal.ts';
import { VERIFIER_OPTIONS, type VerifierOptions, withVerifier } from './verifier-connection.ts';

interface EventsOptions extends VerifierOptions {
  readonly after: number;
  readonly limit: number;
  readonly verify: boolean;
  readonly head: string | undefined;
  readonly json: boolean;
}

export const command: Command = {
  name: 'events',
  describe: 'What has happened: every change, who made it and why',
  options: (yargs) =>
    yargs
      .options(VERIFIER_OPTIONS)
      .option('after', { type: 'number', default: 0, requiresArg: true, describe: 'From behind this event' })
      .option('limit', {
        type: 'number',
        default: 100,
        requiresArg: true,
        describe: 'The most that is shown',
      })
      .option('verify', {
        type: 'boolean',
        default: false,
        describe: 'Check the hash chain of the whole ledger',
      })
      .option('head', {
        type: 'string',
        requiresArg: true,
        describe: 'With --verify: seq:hash that an earlier check has shown; the ledger must still contain it',
      })
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'The lines as they are, or one JSON object',
      })
      .example('$0 verifier events', 'the first hundred changes')
      .example('$0 verifier events --after 100 --json', 'the lines of the ledger, octet for octet')
      .example(
        '$0 verifier events --verify',
        'whether it is whole; prints its head, worth writing down elsewhere',
      )
      .example(
        '$0 verifier events --verify --head 812:4Kx…',
        'and whether nothing up to there was changed since',
      ),
  run: (options) => {
    const given = options as unknown as EventsOptions;
    return withFaultLines(() =>
      withVerifier(given, (client) => (given.verify ? verify(client, given) : list(client, given))),
    );
  },
};

const PAGE = 1000;

async function* pages(client: VerifierClient, from: number, most: number) {
  let after = from;
  for (let left = most; left > 0; ) {
    const limit = Math.min(PAGE, left);
    const { events } = await client.call(serviceEndpoints.listEvents, { query: { after, limit } });
    yield* events;
    if (events.length < limit) return;
    left -= events.length;
    after = events.at(-1)?.seq ?? after;
  }
}

const list = async (client: VerifierClient, { after, limit, json }: EventsOptions): Promise<ExitCode> => {
  if (!Number.isSafeInteger(after) || after < 0 || !Number.isSafeInteger(limit) || limit < 1)
    throw usageError('--after and --limit are whole numbers');
  const rows: string[][] = [];
  for await (const { seq, line } of pages(client, after, limit)) {
    if (json) {
      print(line);
      continue;
    }
    const read = readLedgerLine(line);
    if (!read.ok) rows.push([String(seq), '', paint('red', read.reason), '', '', printable(read.detail)]);
    else {
      const { time, event, actor, data, why } = read.value;
      rows.push([
        String(seq),
        new Date(time).toISOString().slice(0, 19),
        event,
        printable(actor),
        printable(JSON.stringify(data)).slice(0, 80),
        printable(why),
      ]);
    }
  }
  if (!json) print(table(['seq', 'time (UTC)', 'event', 'by', 'what', 'why'], rows));
  return EXIT.ok;
};

const readHead = (text: string): { readonly seq: number; readonly hash: string } => {
  const [, seq, hash] = /^([1-9][0-9]{0,15}):(.*)$/.exec(text) ?? [];
  if (hash === undefined || !isDigest(hash)) throw usageError('--head is seq:hash, as --verify prints it');
  return { seq: Number(seq), hash };
};

const verify = async (client: VerifierClient, { head, json }: EventsOptions): Promise<ExitCode> => {
  const known = head === undefined ? undefined : readHead(head);
  const verifier = new LedgerVerifier('beginning');
  const fail = (seq: number, reason: string, detail: string): ExitCode => {
    if (json) printJson({ ok: false, reason, seq, detail });
    else
      print(
        `${paint('red', 'changed')}  ${reason}: ${printable(detail)}\nNothing from event ${seq} on can be relied upon.`,
      );
    return EXIT.refused;
  };
  for await (const event of pages(client, 0, Number.MAX_SAFE_INTEGER)) {
    const fault = verifier.next(event);
    if (fault !== undefined) return fail(fault.seq, fault.reason, fault.detail);
    if (event.seq === known?.seq && event.hash !== known.hash)
      return fail(event.seq, 'audit_hash', `event ${event.seq} was another one when --head was written down`);
  }
  const { seq, hash } = verifier.head;
  if (known !== undefined && seq < known.seq)
    return fail(seq + 1, 'audit_cut', `the ledger ends at ${seq}, and --head knows of ${known.seq}`);
  if (json) printJson({ ok: true, events: seq, head: `${seq}:${hash}` });
  else print(`${paint('green', 'whole')}  ${seq} events\nhead   ${seq}:${hash}`);
  return EXIT.ok;
};
