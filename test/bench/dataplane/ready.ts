/** From the start of the process to the first 200 of /readyz. */
import { request } from 'node:http';
import { type BenchWorld, median } from '../world.ts';
import { LIMITS } from './systems.ts';

const statusOf = (port: number): Promise<number> =>
  new Promise((resolve) => {
    request({ port, host: '127.0.0.1', path: '/readyz' }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .once('error', () => resolve(0))
      .end();
  });

/** Milliseconds, the median of some starts. */
export const measureStart = async (
  world: BenchWorld,
  upstream: number,
  core: number,
  starts: number,
): Promise<number> => {
  const times: number[] = [];
  for (let start = 0; start < starts; start++) {
    const started = performance.now();
    const { child, health } = await world.sidecar(upstream, core, { limits: LIMITS });
    while ((await statusOf(health)) !== 200) {
      if (child.exitCode !== null) throw new Error('the sidecar ended');
    }
    times.push(performance.now() - started);
    await world.end(child);
  }
  return median(times);
};
