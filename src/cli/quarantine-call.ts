/** The quarantine of a running sidecar, through its admin socket; answers are read strictly, since they are shown and signed. */
import { randomBytes } from 'node:crypto';
import { canonicalJson } from '../core/encoding/json.ts';
import { isDigest } from '../core/encoding/members.ts';
import { parseLabel, type QuarantineLabel } from '../core/quarantine/item.ts';
import { mintReviewerToken, type ReviewerTokenType } from '../core/quarantine/reviewer.ts';
import { isReasonCode, REASONS } from '../core/reasons.ts';
import type { QuarantineEntry, QuarantineStatus } from '../edge/store/quarantine.ts';
import type { ReviewerKey } from '../edge/store/quarantine-keys.ts';
import { type Unsealed, unseal } from '../edge/store/quarantine-seal.ts';
import { callAdmin } from './admin-call.ts';
import { CommandError } from './command.ts';
import { printable } from './terminal.ts';
import { nowSeconds } from './time-words.ts';

const foreign = (): CommandError =>
  new CommandError('the sidecar’s answer is none of this version of hopgate');

type Parsed = Readonly<Record<string, unknown>>;

const isParsed = (value: unknown): value is Parsed => typeof value === 'object' && value !== null;

const parse = (body: string): Parsed => {
  try {
    const value: unknown = JSON.parse(body);
    if (isParsed(value)) return value;
  } catch {
    // As any other answer that is none.
  }
  throw foreign();
};

const call = async (
  socket: string,
  method: 'GET' | 'POST',
  target: string,
  said?: string,
): Promise<Parsed> => {
  const { status, body } = await callAdmin(socket, method, `/quarantine${target}`, said);
  if (status === 200) return target.endsWith('/drop') ? {} : parse(body);
  if (body === '') throw new CommandError('this sidecar knows of no quarantine: it is of an older version');
  const { code, detail } = parse(body);
  if (typeof code !== 'string' || !isReasonCode(code)) throw foreign();
  const why = typeof detail === 'string' && detail !== '' ? printable(detail) : REASONS[code].meaning;
  throw new CommandError(`the sidecar refused: ${code}: ${why}`);
};

const STATES: readonly unknown[] = ['kept', 'released', 'passed', 'damaged'];
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;

const entryOf = (value: unknown): QuarantineEntry => {
  if (!isParsed(value)) throw foreign();
  const { id, state, label, kept, ends, octets, release } = value;
  if (typeof id !== 'string' || !isDigest(id) || !STATES.includes(state)) throw foreign();
  if (!isCount(kept) || !isCount(ends) || !isCount(octets)) throw foreign();
  const read = label === undefined ? undefined : parseLabel(Buffer.from(canonicalJson(label)));
  if (read?.ok === false || (read !== undefined && read.value.id !== id)) throw foreign();
  const by = isParsed(release) ? release : undefined;
  if (by !== undefined && (typeof by.by !== 'string' || !isCount(by.exp))) throw foreign();
  return {
    id,
    state: state as QuarantineEntry['state'],
    label: read?.value,
    kept,
    ends,
    octets,
    release: by && { by: printable(String(by.by)), exp: Number(by.exp) },
  };
};

const reviewerOf = (value: unknown): QuarantineStatus['reviewers'][number] => {
  if (!isParsed(value) || typeof value.name !== 'string' || typeof value.key !== 'string') throw foreign();
  return { name: printable(value.name), key: printable(value.key) };
};

/** All that is kept, the oldest first. */
export const fetchStatus = async (socket: string): Promise<QuarantineStatus> => {
  const { items, octets, maxItems, maxBytes, reviewers } = await call(socket, 'GET', '');
  if (!Array.isArray(items) || !Array.isArray(reviewers)) throw foreign();
  if (!isCount(octets) || !isCount(maxItems) || !isCount(maxBytes)) throw foreign();
  return { items: items.map(entryOf), octets, maxItems, maxBytes, reviewers: reviewers.map(reviewerOf) };
};

/** Who it is that keeps this, to whom a reviewer speaks. */
const labelOf = async (socket: string, id: string): Promise<QuarantineLabel> => {
  const { items } = await fetchStatus(socket);
  const item = items.find((one) => one.id === id);
  if (item === undefined)
    throw new CommandError('nothing is kept under this id; "quarantine list" shows what is');
  if (item.label === undefined) throw new CommandError('its file is damaged: it can only be dropped');
  return item.label;
};

const speak = (
  type: ReviewerTokenType,
  { id, sidecar }: QuarantineLabel,
  { signing }: ReviewerKey,
  ttlSeconds: number,
  why: string,
): string => {
  const iat = nowSeconds();
  const jti = randomBytes(16).toString('base64url');
  return mintReviewerToken(
    type,
    { aud: sidecar, exp: iat + ttlSeconds, iat, id, jti, why },
    signing.sign,
    signing.thumbprint,
  );
};

const INSPECT_TTL_SECONDS = 60;

/** Fetches it under the reviewer's name and opens it here: what is shown is what the id stands for. */
export const fetchUnsealed = async (
  socket: string,
  id: string,
  key: ReviewerKey,
  why: string,
): Promise<Unsealed> => {
  const label = await labelOf(socket, id);
  const word = speak('quarantine-inspect+jwt', label, key, INSPECT_TTL_SECONDS, why);
  const { jwe } = await call(socket, 'POST', `/${id}/inspect`, word);
  if (typeof jwe !== 'string') throw foreign();
  const opened = await unseal(id, jwe, key);
  if (!opened.ok) throw new CommandError(`${opened.reason}: ${opened.detail}`);
  return opened.value;
};

/** Signs the release of what was opened, and brings it. */
export const releaseUnsealed = async (
  socket: string,
  { label }: Unsealed,
  key: ReviewerKey,
  ttlSeconds: number,
  why: string,
): Promise<QuarantineEntry> =>
  entryOf(
    await call(
      socket,
      'POST',
      `/${label.id}/release`,
      speak('quarantine-release+jwt', label, key, ttlSeconds, why),
    ),
  );

export const dropKept = async (socket: string, id: string, why: string): Promise<void> => {
  await call(socket, 'POST', `/${id}/drop`, why);
};
