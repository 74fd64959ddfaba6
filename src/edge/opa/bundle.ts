/** A bundle, from its octets to policies that can be asked. */
import { z } from 'zod';
import { type BundleFiles, readArchive } from './bundle-archive.ts';
import { canonicalDocument } from './bundle-digest.ts';
import { BundleFault } from './bundle-fault.ts';
import { SIGNATURES, type SignaturePolicy, verifySignature } from './bundle-signature.ts';
import { type WasmLimits, WasmPolicy } from './wasm-policy.ts';

export interface BundleRules extends WasmLimits {
  /** Of the tar.gz; unpacked it may have four times as much. */
  readonly maxBytes: number;
  /** Undefined: nobody has to have signed it. */
  readonly signature: SignaturePolicy | undefined;
}

export interface PolicyBundle {
  /** As its manifest says; '' where it says none. */
  readonly revision: string;
  /** By path: `hopgate/authz/allow`. */
  readonly entrypoints: ReadonlyMap<string, WasmPolicy>;
}

export const MAX_UNPACKED_RATIO = 4;

// Others of its members are for OPA alone.
const manifestForm = z.object({
  revision: z
    .string()
    .regex(/^[\x21-\x7e]{0,128}$/)
    .default(''),
  wasm: z.array(z.object({ entrypoint: z.string(), module: z.string() })).default([]),
});

const readManifest = (files: BundleFiles): z.output<typeof manifestForm> => {
  const octets = files.get('.manifest');
  if (octets === undefined) throw new BundleFault('it has no .manifest');
  try {
    return manifestForm.parse(JSON.parse(octets.toString('utf8')));
  } catch {
    throw new BundleFault('its .manifest is none that OPA makes');
  }
};

/** `opa build` puts all data into one file; what would have to be put together by us, or patched, is refused. */
const readData = (files: BundleFiles): Buffer => {
  for (const name of files.keys()) {
    if (name === 'patch.json') throw new BundleFault('it is a delta, and only whole bundles are taken');
    if (/(?:^|\/)data\.ya?ml$/.test(name) || /\/data\.json$/.test(name))
      throw new BundleFault(`${name}: build it with "opa build", which puts all data into one data.json`);
  }
  // What was signed is this form of it, and nothing that another reader could make of the octets: a member twice, say.
  return Buffer.from(canonicalDocument(files.get('data.json') ?? Buffer.from('{}')));
};

/** Throws {@link BundleFault}. The signature comes before anything that looks into a file. */
export const readBundle = async (octets: Buffer, rules: BundleRules): Promise<PolicyBundle> => {
  if (octets.length > rules.maxBytes) throw new BundleFault(`it is larger than ${rules.maxBytes} octets`);
  const files = await readArchive(octets, rules.maxBytes * MAX_UNPACKED_RATIO);
  if (rules.signature !== undefined) await verifySignature(files, rules.signature);
  else if (files.has(SIGNATURES))
    throw new BundleFault('it is signed: name the key (publicKeyFile) instead of signature: none');
  const manifest = readManifest(files);
  const data = readData(files);
  if (manifest.wasm.length === 0)
    throw new BundleFault('it has no WebAssembly: build it with "opa build -t wasm -e PATH"');
  const modules = new Map<string, WasmPolicy>();
  const entrypoints = new Map<string, WasmPolicy>();
  for (const { entrypoint, module } of manifest.wasm) {
    const file = module.replace(/^\//, '');
    const code = files.get(file);
    if (code === undefined) throw new BundleFault(`its manifest names ${file}, which is not in it`);
    const policy = modules.get(file) ?? (await WasmPolicy.load(code, data, rules));
    modules.set(file, policy);
    if (!policy.entrypoints.includes(entrypoint))
      throw new BundleFault(`${file} has no entrypoint ${entrypoint}`);
    entrypoints.set(entrypoint, policy);
  }
  return { revision: manifest.revision, entrypoints };
};

const ORDINAL = /^[0-9]{1,15}$/;

/** Whether `next` is older than what was in force: revisions that are whole numbers have an order, others have none. */
export const isRollback = (next: PolicyBundle, before: PolicyBundle): boolean =>
  ORDINAL.test(before.revision) &&
  !(ORDINAL.test(next.revision) && Number(next.revision) >= Number(before.revision));
