/** The two programs in C, compiled when a run begins: the load and the agent behind every proxy. */
import { execFileSync } from 'node:child_process';
import path from 'node:path';

export interface Native {
  readonly load: string;
  readonly upstream: string;
}

/** Throws with what is missing, and how to get it. */
export const compileNative = (directory: string): Native => {
  const compile = (name: string, libraries: readonly string[]): string => {
    const out = path.join(directory, name);
    const source = path.join(import.meta.dirname, `${name}.c`);
    execFileSync('cc', ['-O2', '-o', out, source, ...libraries], { stdio: ['ignore', 'ignore', 'pipe'] });
    return out;
  };
  try {
    return { load: compile('load', ['-lssl', '-lcrypto']), upstream: compile('upstream', []) };
  } catch (error) {
    throw new Error(
      `the load needs a C compiler and OpenSSL's headers (test/bench/dataplane/install-peers.sh): ${(error as Error).message}`,
    );
  }
};
