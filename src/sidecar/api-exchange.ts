/** A permitted request to an API: its credential is got, a connection is made to a checked address, and then it is an exchange. */
import type { VerifiedChain } from '../core/delegation/chain.ts';
import type { ReasonCode } from '../core/reasons.ts';
import { type Denial, deny, grant, type Verdict } from '../core/verdict.ts';
import { withoutExtensions } from '../edge/egress/api-headers.ts';
import type { Credential } from '../edge/egress/credential.ts';
import { guardEcho } from '../edge/egress/echo-guard.ts';
import { withReturnedHeaders } from '../edge/egress/returned.ts';
import type { Call } from '../edge/http/call.ts';
import { httpExchange } from '../edge/http/exchange.ts';
import type { H1Connection } from '../edge/http/h1-connection.ts';
import { problemOf, sendProblem } from '../edge/http/problem.ts';
import { type RequestHeaders, withoutCodings } from '../edge/http/request-headers.ts';
import { type UpgradeRequest, upgradeExchange } from '../edge/http/upgrade.ts';
import type { Permit } from '../hop/permit.ts';
import { watchRequest, watchResponse } from '../hop/response.ts';
import type { Exchange, ExchangeResult } from '../ports.ts';
import type { ApiDoor } from './egress-doors.ts';
import type { OpenUploads } from './open-uploads.ts';
import type { Parts } from './parts.ts';

export interface ApiExchangeOptions {
  readonly parts: Parts;
  readonly uploads: OpenUploads;
  readonly door: ApiDoor;
  readonly call: Call;
  readonly headers: RequestHeaders;
  /** As they go out, but for the credential. */
  readonly sent: readonly string[];
  readonly target: string;
  readonly upgrade: UpgradeRequest | undefined;
  readonly permit: Permit;
  readonly hop: string;
  readonly chain: VerifiedChain;
  /** Where it was read before. */
  readonly body: Buffer | undefined;
  readonly allowPrivate: readonly string[];
}

interface Ready {
  readonly connection: H1Connection;
  readonly credential: Credential | undefined;
}

export const apiExchange = (options: ApiExchangeOptions): Exchange => ({
  start: (done) => new RunningApiExchange(options, done).begin(),
});

class RunningApiExchange {
  private readonly options: ApiExchangeOptions;
  private readonly done: (result: ExchangeResult) => void;
  private readonly preparing = new AbortController();
  private inner: ((reason: ReasonCode) => void) | undefined;
  private ended = false;
  private returned: readonly string[] = [];
  private leaveUploads: (() => void) | undefined;
  /** The credential came back over a WebSocket. */
  private isShown = false;

  constructor(options: ApiExchangeOptions, done: (result: ExchangeResult) => void) {
    this.options = options;
    this.done = done;
  }

  begin(): (reason: ReasonCode) => void {
    const { call, parts, permit, chain } = this.options;
    parts.labels.add(chain, permit.labels);
    call.onClose(this.onGone);
    this.prepare().then(
      (ready) => {
        if (!ready.ok) this.refuse(ready);
        else if (this.ended) this.options.door.connections.giveBack(ready.value.connection);
        else this.send(ready.value);
      },
      (error: unknown) => {
        parts.log.error({ err: error }, 'a request to an API failed unexpectedly');
        this.refuse(deny('internal', 'a fault in the sidecar'));
      },
    );
    return this.cut;
  }

  private readonly cut = (reason: ReasonCode): void => {
    if (this.inner !== undefined) this.inner(reason);
    else this.refuse(deny(reason, 'what permitted it ended before it was sent'));
  };

  private readonly onGone = (): void => {
    if (this.inner === undefined)
      this.refuse(deny('client_aborted', 'the agent went away before it was sent'));
  };

  private async prepare(): Promise<Verdict<Ready>> {
    const { door, allowPrivate } = this.options;
    const credential = await door.credential?.get();
    if (credential?.ok === false) return credential;
    const connection = await door.connections.acquire(allowPrivate, this.preparing.signal);
    return connection.ok
      ? grant({ connection: connection.value, credential: credential?.value })
      : connection;
  }

  private refuse(denial: Denial): void {
    if (this.ended) return;
    const { call, hop } = this.options;
    const isHeard = !call.isClosed;
    sendProblem(call, denial, hop, true);
    this.finish({
      status: isHeard ? problemOf(denial, hop, true).status : 0,
      result: denial.reason,
      received: 0,
      sent: 0,
    });
  }

  private finish(result: ExchangeResult): void {
    if (this.ended) return;
    this.ended = true;
    this.options.call.offClose(this.onGone);
    this.preparing.abort();
    this.leaveUploads?.();
    const { returned } = this;
    this.done(returned.length === 0 ? result : { ...result, labels: returned });
  }

  private send({ connection, credential }: Ready): void {
    const { parts, door, call, headers, target, upgrade, permit, hop, body, uploads } = this.options;
    const { limits } = parts.config;
    call.offClose(this.onGone);
    const watch = watchResponse(parts.path, permit);
    const sent =
      credential === undefined && watch?.readsBody !== true
        ? [...this.options.sent]
        : withoutCodings(credential === undefined ? this.options.sent : withoutExtensions(this.options.sent));
    if (credential !== undefined) sent.push(credential.header, credential.value);
    const shared = {
      call,
      upstream: withReturnedHeaders(connection, {
        secret: credential?.secret,
        header: door.header,
        onUnauthorized: () => {
          if (credential !== undefined) door.credential?.refused(credential);
        },
        onShown: () => {
          this.isShown = true;
        },
      }),
      target,
      headers: sent,
      headersTimeoutMs: limits.responseTimeout * 1000,
      hop,
      trusted: true,
      failures: { unreachable: 'egress_unreachable', broken: 'egress_failed' },
      responseHeaders: () => ['hopgate-hop', hop],
      onLabels: () => this.onAnswer(),
    } as const;
    const exchange =
      upgrade === undefined
        ? httpExchange({
            ...shared,
            hasBody: headers.hasBody,
            contentLength: headers.contentLength,
            body,
            maxBodyBytes: limits.bodyBytes,
            requestTimeoutMs: limits.bodyTimeout * 1000,
            inspector: watchRequest(permit, sent, body?.length ?? headers.contentLength),
            watch: credential === undefined ? watch : guardEcho(credential.secret, watch),
          })
        : upgradeExchange({ ...shared, upgrade });
    this.inner = exchange.start((result) =>
      this.finish(this.isShown ? { ...result, result: 'egress_credential_shown' } : result),
    );
    const streams = upgrade !== undefined || (body === undefined && headers.hasBody);
    if (!streams || this.ended || call.isComplete) return;
    this.leaveUploads = uploads.add(permit, this.inner);
    if (upgrade === undefined) call.body.once('end', this.leaveUploads);
  }

  /** What comes from outside says nothing of labels; the route does. */
  private onAnswer(): undefined {
    const { parts, permit, chain, uploads } = this.options;
    this.returned = permit.route.labels?.response ?? [];
    parts.labels.add(chain, this.returned);
    if (this.returned.length > 0) uploads.labelled(permit);
    return undefined;
  }
}
