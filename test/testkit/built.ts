/**
 * Before the tests: hopgate as it ships, for those that start it as a process. It starts in a quarter of the time that its sources
 * take, and there are some hundred starts.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { compileInto } from '../bench/compiled.ts';

/** Below the packages, where the demo finds those that no bundle holds. */
const CACHE = path.join(import.meta.dirname, '../../node_modules/.cache');

export default (): (() => void) => {
  mkdirSync(CACHE, { recursive: true });
  const directory = mkdtempSync(path.join(CACHE, 'hopgate-built-'));
  process.env.HOPGATE_TEST_MAIN = compileInto(directory);
  return () => rmSync(directory, { recursive: true, force: true });
};
