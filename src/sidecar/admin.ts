/** The admin socket: tasks that start in this agent, and what this sidecar holds. Mode 0600: whoever opens it is the operator. */
import { chmodSync, rmSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { MAX_CHAIN_BYTES } from '../core/limits.ts';
import { type Denial, deny, grant, type Verdict } from '../core/verdict.ts';
import { createServer } from '../edge/http/node-http.ts';
import { problemOf } from '../edge/http/problem.ts';
import type { Quarantine } from '../edge/store/quarantine.ts';
import { VerifierError } from '../edge/verifier/verifier-error.ts';
import { answerQuarantine } from './admin-quarantine.ts';
import type { ConfigState } from './config-in-force.ts';
import { type Context, TASK_GIVER } from './contexts.ts';
import { nowSeconds, type Parts } from './parts.ts';
import type { Source } from './source.ts';

export interface AdminState {
  readonly peers: () => Readonly<Record<'inbound' | 'outbound', unknown>>;
  readonly source: Source;
  readonly configuration: () => ConfigState;
  readonly drain: () => void;
  /** Why the sidecar is not ready, a sentence each. */
  readonly faults: () => Promise<readonly string[]>;
  /** Undefined where the configuration has none. */
  readonly quarantine?: Quarantine | undefined;
}

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

/** Whether somebody listens on a unix socket. */
export const isSocketAlive = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

export class Admin {
  private readonly parts: Parts;
  private readonly state: AdminState;
  private readonly server: Server;

  constructor(parts: Parts, state: AdminState) {
    this.parts = parts;
    this.state = state;
    this.server = createServer({ requestTimeout: 10_000 }, (request, response) => {
      this.route(request, response).catch((error: unknown) => {
        parts.log.error({ err: error }, 'admin request failed');
        if (!response.headersSent) sendDenial(response, deny('internal', 'a fault in the sidecar'));
      });
    });
  }

  private async route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request;
    if (method === 'POST' && url === '/tasks') await this.startTask(request, response);
    else if (method === 'DELETE' && url.startsWith('/tasks/'))
      await this.endTask(url.slice('/tasks/'.length), response);
    else if (method === 'GET' && url === '/certs') sendJson(response, 200, this.certificates());
    else if (method === 'GET' && url === '/config')
      sendJson(response, 200, { ...this.state.configuration(), inForce: this.parts.config });
    else if (method === 'POST' && url === '/rotate-key') await this.rotateKey(response);
    else if (method === 'GET' && url === '/peers') sendJson(response, 200, this.state.peers());
    else if (method === 'GET' && url === '/status') sendJson(response, 200, await this.status());
    else if (url === '/quarantine' || url.startsWith('/quarantine/')) await this.review(request, response);
    else if (method === 'POST' && url === '/drain') {
      // The answer first: a drain with nothing under way ends this socket at once.
      response.writeHead(202).end(() => this.state.drain());
    } else response.writeHead(404).end();
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

  private certificates(): unknown {
    const { parts } = this;
    const own = parts.identities.newest;
    const { known } = parts.trust;
    const current = parts.trust.current();
    return {
      id: own?.id,
      svid: own && { expires: own.svidNotAfter },
      wit: own && { expires: own.witExp },
      keyBinding: own && { expires: own.kb.exp },
      agentKey: own?.key.thumbprint,
      bundle: known && {
        order: known.bundleName,
        expires: known.bundle.exp,
        freshAt: known.freshAt,
        ...(Number.isFinite(known.maxStalenessSeconds) && {
          staleAt: known.freshAt + known.maxStalenessSeconds,
        }),
      },
      policy: known && { revision: known.policy.policy.revision, digest: known.bundle.policyDigest },
      ...(!current.ok && { fault: { reason: current.reason, detail: current.detail } }),
      verifier: this.state.source.state ?? null,
      now: nowSeconds(parts),
    };
  }

  /** For `hopgate status`. */
  private async status(): Promise<unknown> {
    const { config, path, trust } = this.parts;
    const { known } = trust;
    return {
      ...(this.certificates() as object),
      policy: known?.policy.policy.revision,
      fresh: known && { at: known.freshAt, until: known.freshAt + known.maxStalenessSeconds },
      faults: await this.state.faults(),
      configuration: this.state.configuration(),
      ...this.state.peers(),
      live: path.live.size,
      proxied: config.outbound !== undefined,
    };
  }

  async listen(socket: string): Promise<void> {
    rmSync(socket, { force: true });
    // The mask holds from the moment of binding: between listen and chmod nobody else gets in.
    const mask = process.umask(0o177);
    try {
      await new Promise<void>((resolve, reject) => {
        this.server.once('error', reject);
        this.server.listen(socket, () => {
          this.server.off('error', reject);
          resolve();
        });
      });
      chmodSync(socket, 0o600);
    } finally {
      process.umask(mask);
    }
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}
