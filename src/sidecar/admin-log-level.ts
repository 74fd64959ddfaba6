/** The log level of a running sidecar, until it is restarted. */
import { type Denial, deny, grant, type Verdict } from '../core/verdict.ts';
import type { Logger } from '../edge/telemetry/log.ts';

const LEVELS = ['debug', 'info', 'warn', 'error'];

const wantedIn = (query: string, body: string): string =>
  new URLSearchParams(query).get('level') ?? body.trim();

/** Refuses with `api_malformed`. The change is in the log, whatever either level lets through. */
export const setLogLevel = (
  log: Logger,
  query: string,
  body: string,
): Verdict<{ readonly level: string }> => {
  const level = wantedIn(query, body);
  if (!LEVELS.includes(level)) return unknown();
  const before = log.level;
  log.level = 'info';
  log.info({ from: before, to: level }, 'the operator has set the log level, until the next start');
  log.level = level;
  return grant({ level });
};

const unknown = (): Denial => deny('api_malformed', `a level is one of ${LEVELS.join(', ')}`);
