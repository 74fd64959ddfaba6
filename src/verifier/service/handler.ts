/** The form of what is bound to an endpoint: thin, between the contract and a service of the verifier. */
import type {
  AnswerOf,
  BodyOf,
  Endpoint,
  ParamsOf,
  QueryOf,
  StreamEndpoint,
  TaggedEndpoint,
} from '../../api/endpoint.ts';
import type { Actor } from '../actor.ts';

/** A request whose form, sender and access have been checked. */
export interface Asked<E> {
  readonly params: ParamsOf<E>;
  readonly query: QueryOf<E>;
  readonly body: BodyOf<E>;
  readonly actor: Actor;
  /** Of the connection; `local` on the verifier's own socket. */
  readonly source: string;
  /** Aborted when the other side is gone. */
  readonly signal: AbortSignal;
}

export interface Tagged<Answer> {
  /** Changes with the answer; 1–100 of `A–Z a–z 0–9 . _ -`. */
  readonly tag: string;
  /** Called when the other side hasn't this one yet. */
  readonly answer: () => Answer | Promise<Answer>;
}

/** Returns the answer or throws a {@link Refusal}. A stream is ended by its signal; it comes from an `EventQueue`, which is bounded. */
export type Handler<E> = E extends StreamEndpoint
  ? (asked: Asked<E>) => AsyncIterable<AnswerOf<E>> | Promise<AsyncIterable<AnswerOf<E>>>
  : E extends TaggedEndpoint
    ? (asked: Asked<E>) => Tagged<AnswerOf<E>> | Promise<Tagged<AnswerOf<E>>>
    : E extends Endpoint
      ? Answering<E>
      : never;

type Answering<E> = [AnswerOf<E>] extends [undefined]
  ? (asked: Asked<E>) => Promise<void> | undefined
  : (asked: Asked<E>) => AnswerOf<E> | Promise<AnswerOf<E>>;

/** A handler for each endpoint: one that is missing does not compile. */
export type Handlers<Endpoints> = { readonly [Name in keyof Endpoints]: Handler<Endpoints[Name]> };
