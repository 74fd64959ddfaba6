/** A request body that has a say in the decision: read whole, once, within bounds, and then what goes on. */
import { deny, grant, type Verdict } from '../core/verdict.ts';
import type { Call } from '../edge/http/call.ts';
import { readRequestBody } from '../edge/http/request-body.ts';
import type { BodyBudget } from './door-guard.ts';

export interface HeldBodyOptions {
  readonly call: Call;
  readonly hasBody: boolean;
  /** Octets, when announced. */
  readonly contentLength: number | undefined;
  readonly idleMs: number;
  readonly budget: BodyBudget;
}

export class HeldBody {
  private readonly options: HeldBodyOptions;
  private reading: Promise<Verdict<Buffer>> | undefined;
  private whole: Buffer | undefined;

  constructor(options: HeldBodyOptions) {
    this.options = options;
  }

  /** What goes on, once it was read. */
  get octets(): Buffer | undefined {
    return this.whole;
  }

  /** Refuses with `http_body_too_large`, `http_timeout`, `client_aborted`, `caller_busy`, `sidecar_busy`, `body_rate`. */
  async read(mostBytes: number): Promise<Verdict<Buffer>> {
    if (this.reading === undefined) {
      this.reading = this.take(mostBytes);
    }
    const read = await this.reading;
    if (read.ok && read.value.length > mostBytes) return tooLarge(read.value.length, mostBytes);
    return read;
  }

  private async take(mostBytes: number): Promise<Verdict<Buffer>> {
    const { call, hasBody, contentLength, idleMs, budget } = this.options;
    if (!hasBody) return grant(Buffer.alloc(0));
    if ((contentLength ?? 0) > mostBytes) return tooLarge(contentLength ?? 0, mostBytes);
    // Whoever has left by now is not heard leaving: what is reserved then would be so for ever.
    if (call.isClosed) return deny('client_aborted', 'the client went away');
    let reserved = contentLength ?? mostBytes;
    const isAnnounced = contentLength !== undefined;
    const denial = budget.take(reserved, isAnnounced);
    if (denial !== undefined) return denial;
    call.onClose(() => budget.giveBack(reserved));
    if (call.waits) call.sendContinue();
    const read = await readRequestBody(call, { mostBytes, idleMs });
    if (!read.ok) return read;
    this.whole = read.value;
    // Where nobody announced a length, all that may come was reserved.
    const spare = call.isClosed ? 0 : reserved - read.value.length;
    budget.giveBack(spare);
    reserved -= spare;
    if (!isAnnounced) budget.haveRead(read.value.length);
    return read;
  }
}

const tooLarge = (octets: number, most: number) =>
  deny('http_body_too_large', `${octets} octets, at most ${most} are read before a decision`);
