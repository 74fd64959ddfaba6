/** What is wrong with a configuration file, and where. */

export interface ConfigFault {
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  readonly column: number;
  /** `outbound.routes[0].peer`; empty for the document. */
  readonly field: string;
  readonly message: string;
}

export class ConfigError extends Error {
  readonly faults: readonly ConfigFault[];
  constructor(faults: readonly ConfigFault[]) {
    super(faults.map(formatFault).join('\n'));
    this.faults = faults;
  }
}

export const formatFault = ({ file, line, column, field, message }: ConfigFault): string =>
  `${file}:${line}:${column}: ${field === '' ? '' : `${field}: `}${message}`;

/** Keys and indices from the document down. */
export type Path = readonly (string | number)[];

const PLAIN_KEY = /^[\w./:-]{1,40}$/;
// A key that isn't plain may be anything, a misplaced secret too: it isn't repeated.
const formatKey = (key: string): string => (PLAIN_KEY.test(key) ? key : `<key of ${key.length} characters>`);

export const formatPath = (path: Path): string =>
  path.reduce<string>(
    (text, step) =>
      typeof step === 'number'
        ? `${text}[${step}]`
        : text === ''
          ? formatKey(step)
          : `${text}.${formatKey(step)}`,
    '',
  );
