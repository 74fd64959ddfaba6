/** Every endpoint of the contract as a route: who is it, may they, is it well-formed, do it, answer. */
import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { approvalEndpoints } from '../../api/approvals.ts';
import type { AnyEndpoint, Role } from '../../api/endpoint.ts';
import { enrolmentEndpoints } from '../../api/enrolment.ts';
import { REASONS, type ReasonCode } from '../../core/reasons.ts';
import { type Denial, deny } from '../../core/verdict.ts';
import type { Pace } from '../../edge/pace.ts';
import type { Logger } from '../../edge/telemetry/log.ts';
import type { Actor } from '../actor.ts';
import { Refusal } from '../refusal.ts';
import { type Actors, checkAccess, type Identity } from './actors.ts';
import type { Connections } from './connections.ts';
import type { EventStreams, StreamTimes } from './event-stream.ts';
import type { GuessLimit } from './guess-limit.ts';
import type { Asked, Tagged } from './handler.ts';
import { denialOf, Malformed, PROBLEM, problemFor } from './problems.ts';
import { checkHeaders, parseBody, readRequest } from './read-request.ts';
import { answerText, hasTag, TaggedAnswers, takesGzip } from './write-answer.ts';

const DEFAULT_BODY_BYTES = 65_536;
const MAX_PATH_PARAMETER = 4096;
/** So large a body counts for two changes. */
const OCTETS_OF_ONE = 8192;
/** The source of who comes through the unix socket. */
const LOCAL_SOURCE = 'local';

type AnyHandler = (asked: Asked<AnyEndpoint>) => unknown;

/** How a request ended. */
export interface Answered {
  /** Of the contract; undefined where there is none at that path. */
  readonly endpoint: string | undefined;
  readonly status: number;
  /** Why it was refused. */
  readonly reason: ReasonCode | undefined;
}

export interface RouteParts {
  readonly contract: Readonly<Record<string, AnyEndpoint>>;
  /** One for each endpoint; `Handlers` held their types where they were put together. */
  readonly handlers: Readonly<Record<string, unknown>>;
  readonly actors: Actors;
  readonly connections: Connections;
  /** Wrong attempts of strangers, by source; and of members, by name: nobody else's address or number keeps them from renewing. */
  readonly guesses: { readonly strangers: GuessLimit; readonly members: GuessLimit };
  readonly pace: Pace;
  readonly streams: EventStreams;
  readonly streamTimes: StreamTimes;
  /** Of a stream, when it ended. */
  readonly onAnswered?: (answered: Answered) => void;
  readonly log: Logger;
}

const sourceOf = ({ raw: { socket } }: FastifyRequest): string =>
  socket instanceof TLSSocket ? (socket.remoteAddress ?? 'gone') : LOCAL_SOURCE;

/** What a body costs to read grows with it; one that says no length counts for the largest. */
const weightOf = ({ headers }: IncomingMessage, maxBytes: number): number => {
  const octets =
    headers['transfer-encoding'] === undefined ? Number(headers['content-length'] ?? 0) : maxBytes;
  return 1 + Math.floor(octets / OCTETS_OF_ONE);
};

const OPERATING: readonly Role[] = ['admin', 'operator'];

const send = (reply: FastifyReply, denial: Denial): FastifyReply => {
  const { status, body } = problemFor(denial);
  // What is left of a refused body isn't read.
  if (!reply.request.raw.complete) reply.header('connection', 'close');
  return reply.code(status).header('content-type', PROBLEM).header('cache-control', 'no-store').send(body);
};

/** Whether a refusal says that a secret was wrong, rather than that we could not look. */
const isWrongSecret = (error: unknown): boolean => {
  if (!(error instanceof Refusal)) return false;
  const { status } = REASONS[error.reason];
  return status >= 400 && status < 500 && status !== 409 && status !== 429;
};

const RENEWAL = enrolmentEndpoints.renew.name;
const FOR_A_CALLER = approvalEndpoints.askApproval.name;

const renewalIdentity = (identity: Identity): Identity =>
  identity.renewing === undefined ? identity : { actor: identity.renewing, fault: undefined };

class Route {
  private readonly endpoint: AnyEndpoint;
  private readonly handler: AnyHandler;
  private readonly parts: RouteParts;
  private readonly identities = new WeakMap<FastifyRequest, Identity>();
  private readonly tagged = new TaggedAnswers();

  constructor(endpoint: AnyEndpoint, handler: AnyHandler, parts: RouteParts) {
    this.endpoint = endpoint;
    this.handler = handler;
    this.parts = parts;
  }

  private async identify(request: FastifyRequest): Promise<Identity> {
    return this.parts.actors.identify(request.raw.socket, sourceOf(request));
  }

  /** Before anything of the body is read. */
  readonly admit = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const { connections, pace, log } = this.parts;
    const { access, guessable, maxBytes = DEFAULT_BODY_BYTES, method, name } = this.endpoint;
    const headers = checkHeaders(request.raw);
    if (headers !== undefined) throw new Malformed(headers);
    const shown = await this.identify(request);
    if (shown.actor.kind === 'agent' && !connections.prove(request.raw.socket, shown.actor.name)) {
      reply.header('connection', 'close');
      throw new Malformed(deny('api_busy', `${shown.actor.name} has too many connections here already`));
    }
    const identity = name === RENEWAL ? renewalIdentity(shown) : shown;
    const { actor } = identity;
    const refused = checkAccess(access, identity);
    if (refused !== undefined) {
      if (refused.reason === 'api_forbidden' && pace.allows(actor.name))
        log.warn({ actor: actor.name, endpoint: name }, 'refused: none of its roles may do this');
      throw new Malformed(refused);
    }
    const source = sourceOf(request);
    if (guessable === true && source !== LOCAL_SOURCE && !this.mayGuess(actor, source))
      throw new Malformed(deny('api_busy', 'too many wrong attempts; wait a minute'));
    const isPaced =
      actor.kind === 'agent' && method !== 'GET' && !OPERATING.some((role) => actor.roles.has(role));
    // A caller makes its callee file what it likes: that must not cost the callee its renewals and reports.
    const payer = name === FOR_A_CALLER ? `${actor.name} for its callers` : actor.name;
    if (isPaced && !pace.allows(payer, weightOf(request.raw, maxBytes)))
      throw new Malformed(deny('api_busy', `${actor.name} changes too much at once; wait a minute`));
    this.identities.set(request, identity);
  };

  readonly serve = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const identity = this.identities.get(request);
    if (identity === undefined) throw new Error('a request that nobody has admitted');
    const ended = new AbortController();
    const asked = {
      ...readRequest(this.endpoint, { params: request.params, query: request.query, body: request.body }),
      actor: identity.actor,
      source: sourceOf(request),
      signal: ended.signal,
    } as Asked<AnyEndpoint>;
    reply.raw.once('close', () => ended.abort());
    const answer = await this.ask(asked);
    reply.header('cache-control', 'no-store');
    switch (this.endpoint.kind) {
      case 'answer': {
        if (this.endpoint.status === 204) return reply.code(204).send();
        const text = answerText(this.endpoint, answer);
        return reply.code(this.endpoint.status).header('content-type', 'application/json').send(text);
      }
      case 'tagged':
        return this.sendTagged(request, reply, answer as Tagged<unknown>);
      case 'stream':
        return this.stream(request, reply, answer as AsyncIterable<unknown>, ended);
    }
  };

  private mayGuess({ kind, name }: Actor, source: string): boolean {
    const { strangers, members } = this.parts.guesses;
    return kind === 'agent' ? members.allows(name) : strangers.allows(source);
  }

  private countWrong({ kind, name }: Actor, source: string): void {
    const { strangers, members } = this.parts.guesses;
    if (kind === 'agent') members.countWrong(name);
    else strangers.countWrong(source);
  }

  private async ask(asked: Asked<AnyEndpoint>): Promise<unknown> {
    try {
      return await this.handler(asked);
    } catch (error) {
      if (this.endpoint.guessable === true && isWrongSecret(error))
        this.countWrong(asked.actor, asked.source);
      throw error;
    }
  }

  private async sendTagged(
    request: FastifyRequest,
    reply: FastifyReply,
    answer: Tagged<unknown>,
  ): Promise<FastifyReply> {
    const { headers } = request;
    reply
      .header('etag', `"${answer.tag}"`)
      .header('vary', 'accept-encoding')
      .header('cache-control', 'no-cache');
    if (hasTag(headers['if-none-match'], answer.tag)) return reply.code(304).send();
    const mayKeep = !this.endpoint.path.includes('{') && Object.keys(request.query as object).length === 0;
    const made = await this.tagged.get(this.endpoint, answer, mayKeep);
    reply.header('content-type', 'application/json');
    if (made.gzip === made.plain || !takesGzip(headers['accept-encoding'])) return reply.send(made.plain);
    return reply.header('content-encoding', 'gzip').send(made.gzip);
  }

  private async stream(
    request: FastifyRequest,
    reply: FastifyReply,
    events: AsyncIterable<unknown>,
    ended: AbortController,
  ): Promise<FastifyReply> {
    const { streams, streamTimes, log } = this.parts;
    const { endpoint } = this;
    async function* texts(): AsyncGenerator<string> {
      for await (const event of events) yield answerText(endpoint, event);
    }
    reply.hijack();
    await streams
      .run({
        response: reply.raw,
        events: texts(),
        times: streamTimes,
        mayListen: async () => checkAccess(endpoint.access, await this.identify(request)) === undefined,
        ended,
      })
      .catch((error: unknown) => log.error({ err: error, endpoint: endpoint.name }, 'a stream broke off'));
    return reply;
  }
}

const urlOf = (path: string): string => path.replaceAll(/\{([A-Za-z]+)\}/g, ':$1');

/** The routes of a contract; nothing listens yet. Throws when an endpoint has no handler. */
export const makeRoutes = (parts: RouteParts): FastifyInstance => {
  const { contract, handlers, connections, log, onAnswered } = parts;
  const reasons = new WeakMap<FastifyRequest, ReasonCode>();
  const nameOf = new Map(
    Object.values(contract).map(({ name, method, path }) => [`${method} ${urlOf(path)}`, name]),
  );
  const end = (request: FastifyRequest, { raw }: FastifyReply): void => {
    if (!raw.headersSent) return;
    const endpoint = nameOf.get(`${request.method} ${request.routeOptions.url}`);
    onAnswered?.({ endpoint, status: raw.statusCode, reason: reasons.get(request) });
  };
  const refuse = (error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const { denial, fault } = denialOf(error);
    reasons.set(request, denial.reason);
    if (fault)
      log.error({ err: error, method: request.method, route: request.routeOptions.url }, denial.detail);
    return send(reply, denial);
  };
  const app = Fastify({
    logger: false,
    bodyLimit: DEFAULT_BODY_BYTES,
    routerOptions: { maxParamLength: MAX_PATH_PARAMETER, caseSensitive: true },
    exposeHeadRoutes: false,
    return503OnClosing: false,
    frameworkErrors: refuse,
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    try {
      done(null, parseBody(body as Buffer));
    } catch (error) {
      done(error as Error);
    }
  });
  app.addHook('onRequest', async (request, reply) => {
    const { socket } = request.raw;
    if (!connections.begin(socket)) {
      socket.destroy();
      return reply.hijack();
    }
    reply.raw.once('close', () => {
      connections.end(socket);
      end(request, reply);
    });
    return undefined;
  });
  app.setErrorHandler(refuse);
  app.setNotFoundHandler((_request, reply) =>
    send(reply, deny('api_not_found', 'there is no such endpoint')),
  );
  for (const [name, endpoint] of Object.entries(contract)) {
    const handler = handlers[name];
    if (typeof handler !== 'function') throw new TypeError(`${name} has no handler`);
    const route = new Route(endpoint, handler as AnyHandler, parts);
    app.route({
      method: endpoint.method,
      url: urlOf(endpoint.path),
      bodyLimit: endpoint.maxBytes ?? DEFAULT_BODY_BYTES,
      onRequest: route.admit,
      handler: route.serve,
    });
  }
  return app;
};
