/** What a process of hopgate is started from: as it ships, where vitest has built it (`built.ts`), and else its sources. */
import path from 'node:path';

export const MAIN = process.env.HOPGATE_TEST_MAIN ?? path.join(import.meta.dirname, '../../src/main.ts');
