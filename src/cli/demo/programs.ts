/** The files that the demo runs as processes: sources in a checkout, each in its folder; built ones in the package, side by side. */
import path from 'node:path';

const programAt = (source: string): string =>
  import.meta.filename.endsWith('.ts')
    ? path.resolve(import.meta.dirname, `${source}.ts`)
    : path.resolve(import.meta.dirname, `${path.basename(source)}.js`);

export const MAIN = programAt('../../main');
export const AGENT_PROGRAM = programAt('agent-process');
export const API_PROGRAM = programAt('api-process');
export const END_WITH_PARENT = programAt('end-with-parent');
