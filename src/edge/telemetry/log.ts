/** Diagnostics on stderr as JSON lines. The decision log is another thing: `edge/store/audit-log.ts`. */
import { destination, type Logger, pino } from 'pino';

export type { Logger };

export const makeLogger = (level: string, sidecar?: string): Logger =>
  pino(
    {
      level,
      base: sidecar === undefined ? null : { sidecar },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination({ fd: 2, sync: true }),
  );
