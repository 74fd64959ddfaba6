/** Parts of phrases, in a few signs of regular expressions: letters, `(?:a|b)`, `?`, `*`, `+`, `{m,n}`, `[sz]`, `[0-9]`, `$` for the end of a string. */

/** A set of characters, or what happens without one. */
export interface Step {
  /** Characters that lead on; undefined: none is needed. */
  readonly on: ReadonlySet<number> | undefined;
  readonly to: number;
}

/** A nondeterministic automaton: steps by state. */
export class PartAutomaton {
  readonly steps: Step[][] = [];
  /** State to the number of the part that ends in it. */
  readonly accepts = new Map<number, number>();
  /** Where each part begins. */
  readonly starts: number[] = [];

  private state(): number {
    this.steps.push([]);
    return this.steps.length - 1;
  }

  private step(from: number, to: number, on?: ReadonlySet<number>): void {
    this.steps[from]?.push({ on, to });
  }

  /** Takes a part in, under a number. Throws on what is none: parts are written here and not sent. */
  add(part: string, number: number): void {
    const start = this.state();
    this.starts.push(start);
    const [end, at] = this.alternatives(part, 0, start);
    if (at !== part.length) throw new Error(`not a part of a phrase: ${part.slice(at)}`);
    this.accepts.set(end, number);
  }

  private alternatives(part: string, from: number, start: number): [end: number, at: number] {
    const end = this.state();
    for (let at = from; ; at++) {
      const own = this.state();
      this.step(start, own);
      const [last, next] = this.sequence(part, at, own);
      this.step(last, end);
      at = next;
      if (part.charAt(at) !== '|') return [end, at];
    }
  }

  private sequence(part: string, from: number, start: number): [end: number, at: number] {
    let [end, at] = [start, from];
    while (at < part.length && part.charAt(at) !== '|' && part.charAt(at) !== ')') {
      const atom = at;
      // Each atom begins in a state of its own, so that what is repeated leads back to it alone.
      const own = this.state();
      this.step(end, own);
      [end, at] = this.atom(part, atom, own);
      const sign = part.charAt(at);
      if (sign === '?') this.step(own, end);
      else if (sign === '*' || sign === '+') {
        this.step(end, own);
        if (sign === '*') this.step(own, end);
        const after = this.state();
        this.step(end, after);
        end = after;
      } else if (sign === '{') {
        const [, least = '', most = ''] = /^\{([0-9]+),([0-9]+)\}/.exec(part.slice(at)) ?? [];
        for (let count = 1; count < Number(most); count++) {
          const before = end;
          [end] = this.atom(part, atom, before);
          if (count >= Number(least)) this.step(before, end);
        }
        if (least === '0') this.step(own, end);
        at += `{${least},${most}`.length;
      } else continue;
      at++;
    }
    return [end, at];
  }

  private atom(part: string, at: number, start: number): [end: number, at: number] {
    const sign = part.charAt(at);
    if (part.startsWith('(?:', at)) {
      const [end, next] = this.alternatives(part, at + 3, start);
      return [end, next + 1];
    }
    const end = this.state();
    if (sign === '[') {
      let close = at + 1;
      while (close < part.length && part.charAt(close) !== ']') close += part.charAt(close) === '\\' ? 2 : 1;
      this.step(start, end, classOf(part.slice(at + 1, close)));
      return [end, close + 1];
    }
    const escaped = sign === '\\' ? part.charAt(at + 1) : sign === '$' ? '\n' : sign;
    if (escaped === '' || (sign !== '\\' && '(^.'.includes(sign)))
      throw new Error(`not a part of a phrase: ${part.slice(at)}`);
    this.step(start, end, new Set([lower(escaped.charCodeAt(0))]));
    return [end, at + (sign === '\\' ? 2 : 1)];
  }
}

/** ASCII letters alone have two sizes here: text is folded, and other letters are written as they come. */
export const lower = (code: number): number => (code >= 0x41 && code <= 0x5a ? code + 32 : code);

const classOf = (members: string): ReadonlySet<number> => {
  const codes = new Set<number>();
  for (let at = 0; at < members.length; at++) {
    if (members.charAt(at) === '\\') at++;
    const first = members.charCodeAt(at);
    const isRange = members.charAt(at + 1) === '-' && at + 2 < members.length;
    const last = isRange ? members.charCodeAt(at + 2) : first;
    if (isRange) at += 2;
    for (let code = first; code <= last; code++) codes.add(lower(code));
  }
  return codes;
};
