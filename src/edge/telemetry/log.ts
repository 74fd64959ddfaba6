/** Diagnostics on stderr as JSON lines. The decision log is another thing: `edge/store/audit-log.ts`. */
import { type DestinationStream, destination, type Logger, pino } from 'pino';

export type { Logger };

const stderr = () => destination({ fd: 2, sync: true });

const tapped = (stream: DestinationStream, tap: LogTap): DestinationStream => ({
  write: (text) => {
    stream.write(text);
    tap.line?.(text);
  },
});

/** Hears each line that is written, once somebody listens. */
export interface LogTap {
  line?: ((text: string) => void) | undefined;
}

export const makeLogger = (level: string, sidecar?: string, tap?: LogTap): Logger =>
  pino(
    {
      level,
      base: sidecar === undefined ? null : { sidecar },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    tap === undefined ? stderr() : tapped(stderr(), tap),
  );
