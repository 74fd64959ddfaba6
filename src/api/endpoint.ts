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

export interface Endpoint<
  Params extends z.ZodType = z.ZodType,
  Query extends z.ZodType = z.ZodType,
  Body extends z.ZodType = z.ZodType,
  Answer extends z.ZodType = z.ZodType,
> {
  /** Unique, camelCase: the operationId. */
  readonly name: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** With `{name}` for each member of `params`. */
  readonly path: string;
  readonly summary: string;
  readonly access: Access;
  /** A change is an event in the ledger, with who and why; its body has `why`. */
  readonly changes: boolean;
  readonly params: Params;
  readonly query: Query;
  /** `z.undefined()` where there is none. */
  readonly body: Body;
  readonly answer: Answer;
  readonly status: 200 | 201 | 204;
  /** Largest body, octets; 64 KiB unless said. */
  readonly maxBytes?: number;
}

/** Keeps the exact types of an endpoint. */
export const endpoint = <
  Params extends z.ZodType,
  Query extends z.ZodType,
  Body extends z.ZodType,
  Answer extends z.ZodType,
>(
  one: Endpoint<Params, Query, Body, Answer>,
): Endpoint<Params, Query, Body, Answer> => one;

export type ParamsOf<E> = E extends Endpoint<infer P, z.ZodType, z.ZodType, z.ZodType> ? z.output<P> : never;
export type QueryOf<E> = E extends Endpoint<z.ZodType, infer Q, z.ZodType, z.ZodType> ? z.output<Q> : never;
export type BodyOf<E> = E extends Endpoint<z.ZodType, z.ZodType, infer B, z.ZodType> ? z.output<B> : never;
export type AnswerOf<E> = E extends Endpoint<z.ZodType, z.ZodType, z.ZodType, infer A> ? z.output<A> : never;
