/**
 * The verifier's API as a contract: every endpoint once, as data. The server binds a handler to each, the client is typed by
 * them, and OpenAPI is generated from them; so that none of the three can disagree.
 */
import type { z } from 'zod';

/** What somebody who speaks to the verifier may be. One may have several. */
export const ROLES = ['admin', 'operator', 'approver', 'auditor', 'agent'] as const;
export type Role = (typeof ROLES)[number];

/** `anyone` is open to whoever reaches the port; `member` to whoever has an SVID of this domain, in whatever role. */
export type Access = 'anyone' | 'member' | readonly Role[];

/** What every endpoint has. Answers have no transforms: what the handler gives is what the client reads. */
interface Described<
  Params extends z.ZodType,
  Query extends z.ZodType,
  Body extends z.ZodType,
  Answer extends z.ZodType,
> {
  /** Unique, camelCase: the operationId, and the member of the contract that holds it. */
  readonly name: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** With `{name}` for each member of `params`. */
  readonly path: string;
  readonly summary: string;
  readonly access: Access;
  /** A change is an event in the ledger, with who and why; its body has `why`. */
  readonly changes: boolean;
  readonly params: Params;
  /** Its values arrive as text: see `queryInteger`. */
  readonly query: Query;
  /** `z.undefined()` where there is none. */
  readonly body: Body;
  readonly answer: Answer;
  /** Largest body, octets; 64 KiB unless said. */
  readonly maxBytes?: number;
  /** Takes a secret that somebody could guess: what is refused here counts against its source. */
  readonly guessable?: true;
}

export interface Endpoint<
  Params extends z.ZodType = z.ZodType,
  Query extends z.ZodType = z.ZodType,
  Body extends z.ZodType = z.ZodType,
  Answer extends z.ZodType = z.ZodType,
> extends Described<Params, Query, Body, Answer> {
  readonly kind: 'answer';
  readonly status: 200 | 201 | 204;
}

/** Its answer has an ETag, and who has that one already is told 304. */
export interface TaggedEndpoint<
  Params extends z.ZodType = z.ZodType,
  Query extends z.ZodType = z.ZodType,
  Body extends z.ZodType = z.ZodType,
  Answer extends z.ZodType = z.ZodType,
> extends Described<Params, Query, Body, Answer> {
  readonly kind: 'tagged';
  readonly status: 200;
}

/** Answers with server-sent events, each of the form of `answer`, until either side ends it. */
export interface StreamEndpoint<
  Params extends z.ZodType = z.ZodType,
  Query extends z.ZodType = z.ZodType,
  Body extends z.ZodType = z.ZodType,
  Answer extends z.ZodType = z.ZodType,
> extends Described<Params, Query, Body, Answer> {
  readonly kind: 'stream';
  readonly status: 200;
}

export type AnyEndpoint = Endpoint | TaggedEndpoint | StreamEndpoint;

type Declared<E> = Omit<E, 'kind'>;

/** Keeps the exact types of an endpoint. */
export const endpoint = <
  Params extends z.ZodType,
  Query extends z.ZodType,
  Body extends z.ZodType,
  Answer extends z.ZodType,
>(
  one: Declared<Endpoint<Params, Query, Body, Answer>>,
): Endpoint<Params, Query, Body, Answer> => ({ ...one, kind: 'answer' });

/** An endpoint that is asked again and again, and seldom has news. */
export const taggedEndpoint = <
  Params extends z.ZodType,
  Query extends z.ZodType,
  Body extends z.ZodType,
  Answer extends z.ZodType,
>(
  one: Omit<TaggedEndpoint<Params, Query, Body, Answer>, 'kind' | 'status'>,
): TaggedEndpoint<Params, Query, Body, Answer> => ({ ...one, kind: 'tagged', status: 200 });

/** An endpoint that goes on answering. */
export const streamEndpoint = <
  Params extends z.ZodType,
  Query extends z.ZodType,
  Body extends z.ZodType,
  Answer extends z.ZodType,
>(
  one: Omit<StreamEndpoint<Params, Query, Body, Answer>, 'kind' | 'status'>,
): StreamEndpoint<Params, Query, Body, Answer> => ({ ...one, kind: 'stream', status: 200 });

// What a handler gets and gives.
export type ParamsOf<E> = E extends { readonly params: infer P extends z.ZodType } ? z.output<P> : never;
export type QueryOf<E> = E extends { readonly query: infer Q extends z.ZodType } ? z.output<Q> : never;
export type BodyOf<E> = E extends { readonly body: infer B extends z.ZodType } ? z.output<B> : never;
export type AnswerOf<E> = E extends { readonly answer: infer A extends z.ZodType } ? z.output<A> : never;
// What a caller writes: members with defaults may be left out.
export type ParamsFor<E> = E extends { readonly params: infer P extends z.ZodType } ? z.input<P> : never;
export type QueryFor<E> = E extends { readonly query: infer Q extends z.ZodType } ? z.input<Q> : never;
export type BodyFor<E> = E extends { readonly body: infer B extends z.ZodType } ? z.input<B> : never;
