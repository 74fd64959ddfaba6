/** An answer becomes octets, if it has the form that the contract promises. */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { AnyEndpoint } from '../../api/endpoint.ts';
import type { Tagged } from './handler.ts';
import { describeIssues } from './problems.ts';

const compress = promisify(gzip);
/** Below that, compressing costs more than it saves. */
const MIN_COMPRESSED_BYTES = 1400;

/** The JSON of an answer. Throws what is a fault of ours when it does not fit. */
export const answerText = ({ name, answer }: AnyEndpoint, value: unknown): string => {
  const parsed = answer.safeParse(value);
  if (!parsed.success)
    throw new Error(
      `the answer of ${name} is not what the contract says: ${describeIssues('answer', parsed.error)}`,
    );
  return JSON.stringify(parsed.data) ?? '';
};

export interface TaggedAnswer {
  readonly tag: string;
  readonly plain: Buffer;
  readonly gzip: Buffer;
}

const TAG = /^[A-Za-z0-9._-]{1,100}$/;

/** Answers that many ask for: made and compressed once for each tag. */
export class TaggedAnswers {
  private readonly latest = new Map<string, Promise<TaggedAnswer>>();
  private readonly tags = new Map<string, string>();

  get(endpoint: AnyEndpoint, { tag, answer }: Tagged<unknown>, mayKeep: boolean): Promise<TaggedAnswer> {
    if (!TAG.test(tag)) throw new Error(`the tag of ${endpoint.name} is not of its form`);
    const known = this.latest.get(endpoint.name);
    if (mayKeep && known !== undefined && this.tags.get(endpoint.name) === tag) return known;
    const made = this.make(endpoint, tag, answer);
    if (!mayKeep) return made;
    this.latest.set(endpoint.name, made);
    this.tags.set(endpoint.name, tag);
    made.catch(() => this.latest.delete(endpoint.name));
    return made;
  }

  private async make(endpoint: AnyEndpoint, tag: string, answer: () => unknown): Promise<TaggedAnswer> {
    const plain = Buffer.from(answerText(endpoint, await answer()));
    return { tag, plain, gzip: plain.length < MIN_COMPRESSED_BYTES ? plain : await compress(plain) };
  }
}

/** Whether `If-None-Match` names this tag (RFC 9110 §13.1.2). */
export const hasTag = (header: string | undefined, tag: string): boolean =>
  header?.split(',').some((one) => one.trim().replace(/^W\//, '') === `"${tag}"`) === true;

/** Whether the other side takes gzip; a weight of 0 says that it doesn't. */
export const takesGzip = (header: string | undefined): boolean =>
  header?.split(',').some((one) => /^\s*gzip\s*(;\s*q=(?!0(\.0*)?\s*$).*)?$/i.test(one)) === true;
