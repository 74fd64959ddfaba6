/** `hopgate status` of one sidecar, from its admin socket: who it is, what it goes by, and what it can't promise. */
import { z } from 'zod';
import { callAdmin, type SidecarAt } from './admin-call.ts';
import { CommandError } from './command.ts';
import { paint, print, printable, printJson, table } from './terminal.ts';
import { describeExpiry, describeMoment } from './time-words.ts';

const peer = z.object({ id: z.string(), session: z.string(), deadline: z.number(), requests: z.number() });
const expiry = z.object({ expires: z.number() });
/** Identity and bundle are left out while there is none yet. */
const answer = z.object({
  id: z.string().optional(),
  now: z.number(),
  svid: expiry.optional(),
  wit: expiry.optional(),
  bundle: z.object({ order: z.string(), expires: z.number() }).optional(),
  policy: z.string().optional(),
  /** `until` is null where no verifier stands behind it: nothing goes stale. */
  fresh: z.object({ at: z.number(), until: z.number().nullable() }).optional(),
  faults: z.array(z.string()),
  configuration: z.object({
    file: z.string(),
    digest: z.string(),
    loadedAt: z.number(),
    refused: z.object({ at: z.number(), why: z.array(z.string()) }).optional(),
  }),
  verifier: z
    .object({
      address: z.string().optional(),
      addresses: z.array(z.string()).optional(),
      stream: z.string().optional(),
      lastContact: z.number().optional(),
      lastError: z.object({ at: z.number(), reason: z.string(), detail: z.string() }).optional(),
    })
    .nullable(),
  inbound: z.array(peer),
  outbound: z.array(peer),
  live: z.number(),
  proxied: z.boolean(),
});
type SidecarStatus = z.output<typeof answer>;

/** An agent that ignores its proxy is held back by the network or not at all (DESIGN: what is cooperative is called so). */
export const COOPERATIVE =
  'HTTP_PROXY is cooperative: an agent can go around it unless a NetworkPolicy or capture by uid holds it back';

const readStatus = async (at: SidecarAt): Promise<SidecarStatus> => {
  const { status, body } = await callAdmin(at.socket, 'GET', '/status');
  const parsed = status === 200 ? answer.safeParse(JSON.parse(body)) : undefined;
  if (parsed?.success === true) return parsed.data;
  throw new CommandError('the sidecar’s answer is none of this version of hopgate');
};

const verifierWords = ({ verifier, now }: SidecarStatus): string => {
  if (verifier === null) return 'none: trust comes from files';
  const { address, addresses = [], stream, lastContact, lastError } = verifier;
  const where = address ?? addresses.join(', ');
  const contact = lastContact === undefined ? 'never heard' : `heard ${describeMoment(lastContact, now)}`;
  const fault = lastError === undefined ? '' : `; ${lastError.reason}: ${lastError.detail}`;
  return `${where}, stream ${stream ?? 'unknown'}, ${contact}${fault}`;
};

/** What a person should look at. */
const attentionOf = (status: SidecarStatus): readonly string[] => {
  const { faults, fresh, now, verifier, configuration } = status;
  const said = [...faults];
  const { refused } = configuration;
  if (refused !== undefined)
    said.push(
      ...refused.why.map(
        (one) => `the configuration of ${describeMoment(refused.at, now)} is not in force: ${one}`,
      ),
    );
  if (fresh !== undefined && fresh.until !== null && now > fresh.until)
    said.push(`the bundle is stale: nothing was heard since ${describeMoment(fresh.at, now)}`);
  if (verifier?.lastError !== undefined) said.push(`the verifier: ${verifier.lastError.reason}`);
  return said;
};

const peerRows = (direction: string, peers: SidecarStatus['inbound'], now: number): string[][] =>
  peers.map(({ id, deadline, requests }) => [
    direction,
    printable(id),
    String(requests),
    describeMoment(deadline, now),
  ]);

const freshWords = ({ fresh, now }: SidecarStatus): string => {
  if (fresh === undefined) return 'no bundle yet';
  const until = fresh.until === null ? '' : `; good until ${describeMoment(fresh.until, now)}`;
  return `the newest ${describeMoment(fresh.at, now)}${until}`;
};

const rowsOf = (status: SidecarStatus): readonly (readonly [string, string])[] => {
  const { id, now, svid, wit, bundle, policy = '', inbound, outbound, live, configuration } = status;
  return [
    ['sidecar', id ?? 'has no identity yet'],
    ['SVID', svid === undefined ? 'none' : describeExpiry(svid.expires, now)],
    ['WIT', wit === undefined ? 'none' : describeExpiry(wit.expires, now)],
    ['bundle', bundle === undefined ? 'none' : `${bundle.order}, ${describeExpiry(bundle.expires, now)}`],
    ['policy', policy === '' ? 'none' : policy],
    ['config', `${configuration.digest.slice(0, 8)}…, read ${describeMoment(configuration.loadedAt, now)}`],
    ['fresh', freshWords(status)],
    ['verifier', verifierWords(status)],
    ['sessions', `${inbound.length} in, ${outbound.length} out; ${live} requests under way`],
  ];
};

/** Whether something needs attention. */
export const showSidecar = async (at: SidecarAt, json: boolean): Promise<boolean> => {
  const status = await readStatus(at);
  const attention = attentionOf(status);
  if (json) {
    printJson({
      ok: true,
      sidecar: status,
      attention,
      ...(status.proxied && { notice: COOPERATIVE }),
    });
    return attention.length > 0;
  }
  const { now, inbound, outbound } = status;
  for (const [name, value] of rowsOf(status)) print(`${name.padEnd(10)}${printable(value)}`);
  if (inbound.length + outbound.length > 0) {
    print('');
    print(
      table(
        ['', 'PEER', 'REQUESTS', 'ENDS'],
        [...peerRows('in', inbound, now), ...peerRows('out', outbound, now)],
      ),
    );
  }
  print('');
  printAttention(attention);
  if (status.proxied) print(paint('dim', `note: ${COOPERATIVE}`));
  return attention.length > 0;
};

export const printAttention = (attention: readonly string[]): void => {
  if (attention.length === 0) print(paint('green', 'nothing needs attention'));
  for (const one of attention) print(`${paint('yellow', 'attention')}  ${printable(one)}`);
};
