/**
 * Makes a WebAssembly module count its steps and stop at none left. Nothing from outside can stop a loop in this process: a thread of
 * its own could be ended, at five times the time for each request and 17 MiB; a watchdog costs eight times. Counting costs a
 * subtraction for each turn of a loop and each call, and the same policy stops at the same place on every machine.
 *
 * Only what OPA's compiler makes is understood; anything else is refused, so that nothing runs uncounted.
 */
import { unsigned, WasmFault, WasmReader } from './wasm-binary.ts';

/** Name of the exported global (i32) that holds the steps left. */
export const STEPS = 'hopgate_steps_left';
/** For setting up: a policy's data is read, and its own start. */
export const SETUP_STEPS = 500_000_000;

const MAGIC = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const SECTION = { import: 2, global: 6, export: 7, code: 10 } as const;
const KIND = { func: 0, table: 1, memory: 2, global: 3 } as const;
const OP = { loop: 0x03, if: 0x04, end: 0x0b, unreachable: 0x00, empty: 0x40 } as const;
const I32 = 0x7f;

export interface MeteredModule {
  readonly octets: Uint8Array<ArrayBuffer>;
  /** Pages of 64 KiB that the module wants to begin with. */
  readonly memoryPages: number;
}

interface Imports {
  readonly globals: number;
  readonly memoryPages: number;
}

/** What OPA's host gives (opa_println, which `--wasm-include-print` asks for, would write requests to stdout). */
const HOST = new Set(['memory', 'opa_abort', ...[0, 1, 2, 3, 4].map((count) => `opa_builtin${count}`)]);

const readImports = (section: WasmReader): Imports => {
  let [globals, memoryPages] = [0, 0];
  for (let count = section.unsigned(); count > 0; count--) {
    const module = section.name();
    const name = section.name();
    if (module !== 'env' || !HOST.has(name))
      throw new WasmFault(
        `wants ${/^\w{1,64}$/.test(name) ? name : 'something'} of its host, which we don’t give`,
      );
    const kind = section.byte();
    if (kind === KIND.func) section.unsigned();
    else if (kind === KIND.memory) {
      const flags = section.byte();
      if (flags > 1) throw new WasmFault('wants a memory that is shared or of 64 bits');
      memoryPages = section.unsigned();
      if (flags === 1) section.unsigned();
    } else throw new WasmFault('imports a table or a global');
  }
  return { globals, memoryPages };
};

/** Passes one instruction's immediates. Refuses what costs more than a step, or what OPA's compiler doesn't make. */
const skipImmediates = (code: WasmReader, op: number): void => {
  // Numbers, comparisons, conversions, sign extension; unreachable, nop, else, end, return, drop, select.
  if ((op >= 0x45 && op <= 0xc4) || op <= 0x01 || op === 0x05 || op === OP.end || op === 0x0f) return;
  if (op === 0x1a || op === 0x1b) return;
  // block, loop, if; br, br_if; call; locals and globals; constants.
  if ((op >= 0x02 && op <= 0x04) || op === 0x0c || op === 0x0d || op === 0x10) code.skipNumber();
  else if ((op >= 0x20 && op <= 0x24) || op === 0x41 || op === 0x42) code.skipNumber();
  else if (op === 0x43) code.skip(4);
  else if (op === 0x44) code.skip(8);
  else if (op === 0x0e) for (let targets = code.unsigned() + 1; targets > 0; targets--) code.skipNumber();
  else if (op === 0x11 || (op >= 0x28 && op <= 0x3e)) {
    code.skipNumber();
    code.skipNumber();
  } else if (op === 0x3f || op === 0x40) code.skip(1);
  else if (op === 0xfc && code.unsigned() <= 7) return;
  else throw new WasmFault(`has an instruction that OPA’s compiler doesn’t make (0x${op.toString(16)})`);
};

const meterFunction = (body: WasmReader, step: Uint8Array): Uint8Array[] => {
  const pieces: Uint8Array[] = [];
  let from = body.at;
  const flush = (): void => {
    pieces.push(body.octets.subarray(from, body.at), step);
    from = body.at;
  };
  for (let groups = body.unsigned(); groups > 0; groups--) {
    body.unsigned();
    body.byte();
  }
  flush();
  while (!body.isAtEnd) {
    const op = body.byte();
    skipImmediates(body, op);
    if (op === OP.loop) flush();
  }
  pieces.push(body.octets.subarray(from, body.end));
  return pieces;
};

const sized = (pieces: readonly Uint8Array[]): Uint8Array[] => [
  Uint8Array.from(unsigned(pieces.reduce((sum, piece) => sum + piece.length, 0))),
  ...pieces,
];

const meterCode = (section: WasmReader, step: Uint8Array): Uint8Array[] => {
  const count = section.unsigned();
  const pieces: Uint8Array[] = [Uint8Array.from(unsigned(count))];
  for (let left = count; left > 0; left--) pieces.push(...sized(meterFunction(section.sized(), step)));
  return pieces;
};

/** A section's vector with one more element. */
const appended = (section: WasmReader, element: readonly number[]): Uint8Array[] => {
  const count = section.unsigned();
  return [
    Uint8Array.from(unsigned(count + 1)),
    section.octets.subarray(section.at, section.end),
    Uint8Array.from(element),
  ];
};

/** Throws {@link WasmFault}. What it gives is still to be compiled, which finds what is wrong besides. */
export const meterModule = (octets: Uint8Array): MeteredModule => {
  const module = new WasmReader(octets);
  if (MAGIC.some((octet, index) => octets[index] !== octet)) throw new WasmFault('is no WebAssembly');
  module.skip(MAGIC.length);
  const pieces: Uint8Array[] = [Uint8Array.from(MAGIC)];
  const done = new Set<number>();
  let imports: Imports = { globals: 0, memoryPages: 0 };
  let index = 0;
  let step: Uint8Array = new Uint8Array();
  while (!module.isAtEnd) {
    const id = module.byte();
    const section = module.sized();
    let content: Uint8Array[] = [octets.subarray(section.at, section.end)];
    if (id === SECTION.import) imports = readImports(section);
    else if (id === SECTION.global) {
      index = imports.globals + new WasmReader(octets, section.at, section.end).unsigned();
      step = countStep(index);
      content = appended(section, [I32, 0x01, 0x41, ...signed(SETUP_STEPS), OP.end]);
    } else if (id === SECTION.export)
      content = appended(section, [STEPS.length, ...Buffer.from(STEPS), KIND.global, ...unsigned(index)]);
    else if (id === SECTION.code) content = meterCode(section, step);
    // What describes functions by their octets no longer fits: names and debug information.
    if (id === 0) continue;
    if (done.has(id)) throw new WasmFault('has a section twice');
    // The order is fixed: where one of these lacks, something would go uncounted.
    if (id === SECTION.code && !(done.has(SECTION.global) && done.has(SECTION.export)))
      throw new WasmFault('has no globals or exports, and is none of OPA’s');
    done.add(id);
    pieces.push(Uint8Array.of(id), ...sized(content));
  }
  if (!done.has(SECTION.code)) throw new WasmFault('has no code');
  return { octets: new Uint8Array(Buffer.concat(pieces)), memoryPages: imports.memoryPages };
};

/** Signed LEB128 of a number that isn't negative. */
const signed = (value: number): number[] => {
  const out = unsigned(value);
  const last = out.at(-1) ?? 0;
  return last < 0x40 ? out : [...out.slice(0, -1), last | 0x80, 0x00];
};

/** `if (left == 0) unreachable; left = left - 1` */
const countStep = (index: number): Uint8Array => {
  const global = unsigned(index);
  return Uint8Array.of(
    ...[0x23, ...global, 0x45, OP.if, OP.empty, OP.unreachable, OP.end],
    ...[0x23, ...global, 0x41, 0x01, 0x6b, 0x24, ...global],
  );
};
