/** The files that the demo runs as processes: sources in a checkout, built ones in the package. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(import.meta.url);
const programAt = (name: string): string => path.resolve(path.dirname(here), `${name}${path.extname(here)}`);

export const MAIN = programAt('../../main');
export const AGENT_PROGRAM = programAt('agent-process');
export const API_PROGRAM = programAt('api-process');
export const END_WITH_PARENT = programAt('end-with-parent');
