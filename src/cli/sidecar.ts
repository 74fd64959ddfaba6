/** `hopgate sidecar`: one sidecar in the foreground. */
import { resolve } from 'node:path';
import type { Argv } from 'yargs';
import { ConfigError } from '../config/load.ts';
import { systemClock } from '../edge/clock.ts';
import { idleness, MemoryRelief, releaseMemory } from '../edge/memory.ts';
import { type LogTap, makeLogger } from '../edge/telemetry/log.ts';
import { type ReadConfig, readConfigFile } from '../sidecar/config-file.ts';
import { Sidecar } from '../sidecar/sidecar.ts';
import { version } from '../version.ts';
import { type Command, CommandError, EXIT } from './command.ts';
import { ORDERS } from './sidecar-orders.ts';

const readConfig = (file: string): ReadConfig => {
  try {
    return readConfigFile(file);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new CommandError(
      `${file}: can't be read (${(error as NodeJS.ErrnoException).code}); "hopgate join" writes one, and "hopgate init" for each agent`,
      EXIT.usage,
    );
  }
};

const build = async (file: string): Promise<Sidecar> => {
  try {
    const { source, digest } = readConfig(file);
    const config = source.value;
    const logTap: LogTap = {};
    const log = makeLogger(config.log.level, undefined, logTap);
    return await Sidecar.make({
      config,
      configDigest: digest,
      configFile: file,
      version,
      clock: systemClock,
      log,
      logTap,
    });
  } catch (error) {
    if (error instanceof ConfigError) throw new CommandError(error.message, EXIT.usage);
    throw error instanceof CommandError ? error : new CommandError((error as Error).message);
  }
};

const monotonic = (): number => systemClock.monotonic();

export const command: Command = {
  name: 'sidecar',
  describe: 'Run one sidecar beside its agent',
  below: ORDERS,
  options: (yargs: Argv) =>
    yargs
      .option('config', {
        type: 'string',
        describe: 'Configuration (kind: Sidecar)',
        requiresArg: true,
      })
      .option('check', {
        type: 'boolean',
        default: false,
        describe: 'Read and check everything, open no port',
      })
      .example('$0 sidecar --config mesh/agents/planning-1/sidecar.yaml', 'start beside the planning agent')
      .example('$0 sidecar --config sidecar.yaml --check', 'say what is wrong, and end'),
  run: async (options) => {
    const config = options.config as string | undefined;
    if (config === undefined)
      throw new CommandError('which sidecar? --config FILE (kind: Sidecar)', EXIT.usage);
    const sidecar = await build(resolve(config));
    if (options.check === true) {
      await sidecar.check().catch((error: Error) => {
        throw new CommandError(error.message);
      });
      process.stdout.write(`${config}: ok\n`);
      return EXIT.ok;
    }
    // Heard from the first moment: a signal that comes while it starts must not end it without a word in the log.
    const asked = new Promise<string>((resolveAsked) => {
      process.once('SIGTERM', resolveAsked);
      process.once('SIGINT', resolveAsked);
    });
    const drained = new Promise<void>((resolveDrained) => sidecar.onDrained(resolveDrained));
    let started = false;
    process.on('SIGHUP', () => started && void sidecar.reload());
    // A verifier that doesn't answer keeps a start waiting: the signal ends that too.
    void asked.then(() => sidecar.giveUp());
    try {
      if ((await sidecar.start()) === undefined) return EXIT.ok;
    } catch (error) {
      sidecar.stop('could not start');
      throw new CommandError((error as Error).message);
    }
    started = true;
    // Ready first: it would answer its first probe 40 ms later.
    new MemoryRelief(monotonic, releaseMemory, idleness(monotonic)).soon();
    await Promise.race([asked.then((signal) => sidecar.drain(signal)), drained]);
    return EXIT.ok;
  },
};
