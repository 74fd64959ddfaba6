/** One module of a bundle, ready to be asked: OPA's SDK over a module that counts its steps, within its own memory. */
import type { LoadedPolicy, loadPolicySync } from '@open-policy-agent/opa-wasm';
import * as opa from '@open-policy-agent/opa-wasm';
import { BundleFault } from './bundle-fault.ts';
import { WasmFault } from './wasm-binary.ts';
import { meterModule, SETUP_STEPS, STEPS } from './wasm-metering.ts';

// Its ES module gives by name what is asynchronous alone; the rest is there, untyped.
const { default: sdk } = opa as unknown as {
  readonly default: { readonly loadPolicySync: typeof loadPolicySync };
};

/**
 * What OPA's compiler leaves to the host and this host gives, at a cost that follows the size of what is given. Of the others that
 * the SDK has, regex.split would be JavaScript's backtracking, and YAML expands aliases.
 */
const BUILTINS = new Set(['sprintf', 'json.is_valid']);

const PAGE_BYTES = 65_536;
/** What the SDK begins with unless told. */
const LEAST_PAGES = 5;
/** Since ABI 1.2 (OPA 0.31), and asked for by name here or in the SDK. */
const NEEDED = ['opa_wasm_abi_version', 'opa_wasm_abi_minor_version', 'opa_eval', 'builtins', 'entrypoints'];
/** OPA's compiler makes some thousand names; a list that is longer is none. */
const MAX_LIST_BYTES = 1_048_576;

export interface WasmLimits {
  readonly memoryBytes: number;
  /** Of one evaluation. */
  readonly maxSteps: number;
}

export type Evaluated =
  | { readonly kind: 'result'; readonly result: unknown }
  | { readonly kind: 'exhausted' | 'failed' };

interface Exports {
  readonly [STEPS]: WebAssembly.Global<'i32'>;
  readonly builtins: () => number;
  readonly opa_json_dump: (address: number) => number;
}

interface Instance {
  readonly policy: LoadedPolicy;
  readonly exports: Exports;
}

export class WasmPolicy {
  private readonly module: WebAssembly.Module;
  private readonly data: ArrayBuffer;
  private readonly limits: WasmLimits;
  private readonly memoryPages: number;
  /** Undefined after a failure: what broke off leaves a heap behind that nobody knows. */
  private instance: Instance | undefined;

  private constructor(
    module: WebAssembly.Module,
    memoryPages: number,
    data: ArrayBuffer,
    limits: WasmLimits,
  ) {
    this.module = module;
    this.memoryPages = memoryPages;
    this.data = data;
    this.limits = limits;
    this.instance = this.instantiate();
  }

  /** `data` is JSON. Throws {@link BundleFault}, also for a policy that needs a built-in function that nobody gives it. */
  static async load(octets: Uint8Array, data: Uint8Array, limits: WasmLimits): Promise<WasmPolicy> {
    let policy: WasmPolicy;
    try {
      const metered = meterModule(octets);
      const module = await WebAssembly.compile(metered.octets);
      const given = new Set(WebAssembly.Module.exports(module).map(({ name }) => name));
      // The SDK asks for less, and says what is missing on stderr.
      if (!NEEDED.every((name) => given.has(name))) throw new BundleFault('the module is none of OPA’s');
      policy = new WasmPolicy(module, metered.memoryPages, new Uint8Array(data).buffer, limits);
    } catch (error) {
      if (error instanceof BundleFault) throw error;
      if (error instanceof WasmFault) throw new BundleFault(`the module ${error.message}`);
      if (error instanceof WebAssembly.CompileError)
        throw new BundleFault('the module is no valid WebAssembly');
      throw new BundleFault(`the module can’t be set up (${what(error)})`);
    }
    const missing = policy.builtins().filter((name) => !BUILTINS.has(name));
    if (missing.length > 0)
      throw new BundleFault(
        `the policy needs built-in functions that are not there in WebAssembly: ${missing.sort().join(', ')}`,
      );
    return policy;
  }

  get entrypoints(): readonly string[] {
    return Object.keys((this.instance ?? this.instantiate()).policy.entrypoints as Record<string, number>);
  }

  /** What it holds now; it grows with what it is asked. */
  get memoryBytes(): number {
    return this.instance?.policy.mem.buffer.byteLength ?? 0;
  }

  /** Never throws. `result` is undefined where the rule is. */
  evaluate(entrypoint: string, input: Readonly<Record<string, unknown>>): Evaluated {
    let steps: WebAssembly.Global<'i32'> | undefined;
    try {
      this.instance ??= this.instantiate();
      const { policy, exports } = this.instance;
      steps = exports[STEPS];
      steps.value = this.limits.maxSteps;
      const set: unknown = policy.evaluate(input, entrypoint);
      if (!Array.isArray(set) || set.length > 1) return { kind: 'failed' };
      return { kind: 'result', result: (set[0] as { result: unknown } | undefined)?.result };
    } catch {
      this.instance = undefined;
      return { kind: steps?.value === 0 ? 'exhausted' : 'failed' };
    }
  }

  private instantiate(): Instance {
    const policy = sdk.loadPolicySync(this.module, {
      initial: Math.max(this.memoryPages, LEAST_PAGES),
      maximum: Math.max(Math.floor(this.limits.memoryBytes / PAGE_BYTES), this.memoryPages, LEAST_PAGES),
    });
    const { exports } = policy.wasmInstance as unknown as { readonly exports: Exports };
    exports[STEPS].value = SETUP_STEPS;
    policy.setData(this.data);
    return { policy, exports };
  }

  /** Names of functions that the module leaves to its host. The SDK knows them, and would say so at the first call only. */
  private builtins(): string[] {
    const { policy, exports } = this.instance ?? this.instantiate();
    const address = exports.opa_json_dump(exports.builtins());
    const memory = Buffer.from(policy.mem.buffer);
    const end = memory.indexOf(0, address);
    if (end === -1 || end - address > MAX_LIST_BYTES) throw new BundleFault('the module is none of OPA’s');
    return Object.keys(JSON.parse(memory.toString('utf8', address, end)) as Record<string, number>);
  }
}

/** The SDK throws texts, WebAssembly errors. */
const what = (error: unknown): string =>
  (typeof error === 'string' ? error : error instanceof Error ? error.message : 'unknown').slice(0, 200);
