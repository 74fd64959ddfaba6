/**
 * The operator's calls: tasks that start in this agent, what this sidecar holds, and its end. On a unix socket of mode 0600, where
 * whoever opens it is the operator; and on a loopback port, if the configuration has one, with a token.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { MAX_CHAIN_BYTES } from '../core/limits.ts';
import { type Denial, deny, grant, type Verdict } from '../core/verdict.ts';
import { createServer } from '../edge/http/node-http.ts';
import { problemOf } from '../edge/http/problem.ts';
import { listenAlone, removeSocket, socketAt } from '../edge/lone-socket.ts';
import { VerifierError } from '../edge/verifier/verifier-error.ts';
import { setLogLevel } from './admin-log-level.ts';
import { checkCaller, listenOnLoopback } from './admin-port.ts';
import { answerQuarantine } from './admin-quarantine.ts';
import type { AdminTokens } from './admin-tokens.ts';
import { type AdminState, certificatesOf, configurationOf, statusOf } from './admin-views.ts';
import { type Context, TASK_GIVER } from './contexts.ts';
import { nowSeconds, type Parts } from './parts.ts';

const sendJson = (response: ServerResponse, status: number, value: unknown): void => {
  const body = `${JSON.stringify(value)}\n`;
  response
    .writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
    .end(body);
};

const sendDenial = (response: ServerResponse, denial: Denial): void => {
  const { status, body } = problemOf(denial, '', true);
  response.writeHead(status, { 'content-type': 'application/problem+json' }).end(body);
};

const readBody = async (request: IncomingMessage): Promise<Verdict<string>> => {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    // Room for a line end behind the chain.
    if (size > MAX_CHAIN_BYTES + 2) return deny('chain_too_large', `more than ${MAX_CHAIN_BYTES} octets`);
    chunks.push(chunk);
  }
  return grant(Buffer.concat(chunks).toString('latin1').trim());
};

/** Of the port: what one that brings no token can hold open. */
const PORT_CONNECTIONS = 32;
const LIMITS = { requestTimeout: 10_000, headersTimeout: 5000, maxHeaderSize: 8192 };

/** Where it listens, once it does. */
export interface AdminAddresses {
  readonly admin: string;
  readonly adminPort?: { readonly host: string; readonly port: number } | undefined;
}

export class Admin {
  private readonly parts: Parts;
  private readonly state: AdminState;
  private readonly onSocket: Server;
  private readonly onPort: Server;
  private readonly tokens: AdminTokens;
  private socket: { readonly path: string; readonly ino: bigint | undefined } | undefined;

  constructor(parts: Parts, state: AdminState, tokens: AdminTokens) {
    this.parts = parts;
    this.state = state;
    this.tokens = tokens;
    this.onSocket = createServer(LIMITS, (request, response) => this.take(request, response, false));
    this.onPort = createServer(LIMITS, (request, response) => this.take(request, response, true));
    this.onPort.maxConnections = PORT_CONNECTIONS;
  }

  private take(request: IncomingMessage, response: ServerResponse, isOnPort: boolean): void {
    const { url = '' } = request;
    const mark = url.indexOf('?');
    const path = mark === -1 ? url : url.slice(0, mark);
    const refusal = isOnPort ? checkCaller(request, path, this.tokens) : undefined;
    if (refusal !== undefined) {
      this.parts.path.audit.countRefusal(request.socket.remoteAddress ?? 'local', refusal.reason);
      sendDenial(response, refusal);
      return;
    }
    const query = mark === -1 ? '' : url.slice(mark + 1);
    this.route(request, response, path, query).catch((error: unknown) => {
      this.parts.log.error({ err: error }, 'admin request failed');
      if (!response.headersSent) sendDenial(response, deny('internal', 'a fault in the sidecar'));
    });
  }

  private async route(
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    query: string,
  ): Promise<void> {
    const { parts, state } = this;
    switch (`${request.method} ${path}`) {
      case 'GET /certs':
        return sendJson(response, 200, certificatesOf(parts, state));
      case 'GET /config':
        return sendJson(response, 200, configurationOf(parts, state));
      case 'GET /peers':
        return sendJson(response, 200, state.peers());
      case 'GET /status':
        return sendJson(response, 200, await statusOf(parts, state));
      case 'POST /tasks':
        return this.startTask(request, response);
      case 'POST /rotate-key':
        return this.rotateKey(response);
      case 'POST /loglevel':
        return this.setLevel(request, response, query);
      // The answer first: a drain with nothing under way ends this server at once.
      case 'POST /drain':
        return void response.writeHead(202).end(() => state.drain('asked by the operator', false));
      case 'POST /quit':
        return void response.writeHead(202).end(() => state.drain('asked to quit', true));
    }
    if (request.method === 'DELETE' && path.startsWith('/tasks/'))
      await this.endTask(path.slice('/tasks/'.length), response);
    else if (path === '/quarantine' || path.startsWith('/quarantine/')) await this.review(request, response);
    else response.writeHead(404).end();
  }

  private async setLevel(request: IncomingMessage, response: ServerResponse, query: string): Promise<void> {
    const body = await readBody(request);
    const set = body.ok ? setLogLevel(this.parts.log, query, body.value) : body;
    if (set.ok) sendJson(response, 200, set.value);
    else sendDenial(response, set);
  }

  private async review(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request;
    const asked = { method, target: url.slice('/quarantine'.length), body: () => readBody(request) };
    const answer = await answerQuarantine(asked, this.state.quarantine, this.parts.identities.newest?.id);
    if (!answer.ok) sendDenial(response, answer);
    else sendJson(response, 200, answer.value);
  }

  private async rotateKey(response: ServerResponse): Promise<void> {
    try {
      await this.state.source.rotateKey();
      sendJson(response, 200, { key: this.parts.identity().key.thumbprint });
    } catch (error) {
      if (error instanceof RangeError) sendDenial(response, deny('api_conflict', error.message));
      else if (error instanceof VerifierError) sendDenial(response, deny(error.reason, error.message));
      else throw error;
    }
  }

  /** Opens a context for a chain whose leaf is this agent. */
  private async startTask(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request);
    const opened = body.ok ? this.open(body.value) : body;
    if (!opened.ok) {
      sendDenial(response, opened);
      return;
    }
    const { handle, chain } = opened.value;
    sendJson(response, 201, {
      handle,
      task: chain.task,
      principal: chain.principal,
      expires: chain.exp,
      scope: chain.leaf.scope,
    });
  }

  /** Of a task that began here every grant ends, at every sidecar; of a context that a caller granted, only this one. */
  private async endTask(handle: string, response: ServerResponse): Promise<void> {
    const { contexts, taskEnds } = this.parts;
    const ended = await taskEnds.end(handle, 'ended');
    if (ended?.where === 'everywhere' || ended?.isPending === true || (ended && 'reason' in ended))
      sendJson(response, 200, ended);
    else if (ended !== undefined || contexts.end(handle)) response.writeHead(204).end();
    else sendDenial(response, deny('context_unknown', 'no context has this handle'));
  }

  private open(chainText: string): Verdict<Context> {
    const { parts } = this;
    const trust = parts.trust.current();
    if (!trust.ok) return trust;
    const now = nowSeconds(parts);
    const [newest, ...older] = parts.identities.byKey;
    if (newest === undefined) return deny('svid_expired', 'this sidecar has no identity yet');
    let verified = parts.path.chains.verify(chainText, undefined, newest, undefined, trust.value, now);
    // It may have been granted to the key before the last rotation.
    for (const own of older)
      if (!verified.ok && verified.reason === 'chain_leaf_key')
        verified = parts.path.chains.verify(chainText, undefined, own, undefined, trust.value, now);
    if (!verified.ok) return verified;
    const { chain } = verified.value;
    const revoked = trust.value.bundle.revocations.checkChain(chain);
    if (revoked !== undefined) return revoked;
    const context = parts.contexts.open(TASK_GIVER, chainText, chain);
    parts.taskEnds.began(context);
    parts.rebinding.prepare(context, now);
    return grant(context);
  }

  /** Throws when another sidecar has the socket: two on one state directory would break its log. */
  async listen(socket: string): Promise<AdminAddresses> {
    if (!(await listenAlone(this.onSocket, socket)))
      throw new Error(`${socket}: another sidecar runs with this state directory; two would break its log`);
    this.socket = { path: socket, ino: socketAt(socket) };
    const { listen } = this.parts.config.admin;
    if (listen === undefined || 'path' in listen) return { admin: socket };
    this.tokens.watch();
    return { admin: socket, adminPort: await listenOnLoopback(this.onPort, listen) };
  }

  close(): void {
    this.tokens.stop();
    for (const server of [this.onSocket, this.onPort]) {
      server.close();
      server.closeAllConnections();
    }
    if (this.socket !== undefined) removeSocket(this.socket.path, this.socket.ino);
  }
}
