/** Responses of HTTP/1.1, valid ones and bent ones, of a seed. */
import type { Random } from '../random.ts';

export interface BentResponse {
  readonly octets: Buffer;
  /** Where it is cut into pieces. */
  readonly cuts: readonly number[];
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly upgrade: boolean;
  /** How often it was bent. */
  readonly bends: number;
}

const SPACES = ['', ' ', ' ', ' ', '  ', '\t', ' \t'];
const REASONS = ['OK', '', 'Not Found', 'ok\tok', '\xe9t\xe9', 'OK ', ' OK'];
const FINAL = [200, 200, 200, 200, 201, 204, 205, 206, 301, 304, 404, 500, 599];
const INTERIM = [100, 102, 103, 199];
const NAMES = [
  'Content-Type',
  'X-A',
  'date',
  'Set-Cookie',
  'x_y',
  'ETag',
  'Vary',
  "!#$%&'*+-.^_`|~",
  'Connection',
];
const VALUES = [
  'text/plain',
  '',
  'a b',
  ' a',
  'a ',
  '\ta\t',
  'a,b',
  '"q"',
  '\xff\x80',
  'close',
  'x:y',
  'keep-alive',
];
const TE = [
  'chunked',
  'Chunked',
  'CHUNKED',
  'chunked ',
  'gzip',
  'gzip, chunked',
  'chunked, chunked',
  'identity',
  '',
];
const LENGTHS = [
  '0',
  '3',
  '5',
  '10',
  '010',
  '+5',
  '5 ',
  '5,5',
  '-5',
  '0x5',
  '5.0',
  '99999999999999999999',
  '',
];
const EXTENSIONS = [
  ';a',
  ';a=b',
  ';a="b c"',
  ';a="b;c"',
  '; a',
  ';a = b',
  ';',
  ';a="',
  ' ;a',
  ';a=b;c',
  ';="x"',
  ';a=b c',
];
/** What parsers have been fooled with. */
const NASTY = [
  '\r',
  '\n',
  '\r\n',
  '\n\r',
  '\r\r\n',
  '\0',
  ' ',
  '\t',
  ':',
  ';',
  ',',
  '\x0b',
  '\x0c',
  '\x7f',
  '\x80',
  '\xff',
  '\x1b',
  '0',
  'a',
  'F',
  '+',
  '-',
  '0x',
  '\r\n ',
  '\r\n\t',
  '\r\n\r\n',
  'Content-Length: 3\r\n',
  'content-length:5\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: identity\r\n',
  'Connection: close\r\n',
  ' : ',
  'HTTP/1.1 200 OK\r\n',
  '0\r\n\r\n',
  'X: y\n',
  'X: y\r',
  'Trailer: x\r\n',
  'Upgrade: websocket\r\n',
  'HTTP/1.0',
  '\x85',
  '\xa0',
];

const chance = (random: Random, of: number): boolean => random.below(1000) < of * 1000;

const repeat = (times: number, make: () => string): string => Array.from({ length: times }, make).join('');

const bodyText = (random: Random, length: number): string =>
  repeat(length, () => random.pick(['a', 'b', '\r', '\n', '0', '\0', '\xff']));

const fields = (random: Random, most: number): string =>
  repeat(
    random.below(most + 1),
    () => `${random.pick(NAMES)}:${random.pick([' ', '', '  ', '\t'])}${random.pick(VALUES)}\r\n`,
  );

/** A field that frames, with white space around its value as nobody writes it and everybody must read it. */
const framing = (random: Random, name: string, value: string | number): string => {
  const odd = chance(random, 0.2);
  return `${name}:${odd ? random.pick(SPACES) : ' '}${value}${odd ? random.pick(SPACES) : ''}\r\n`;
};

const chunkedBody = (random: Random): string => {
  const chunks = repeat(random.below(4), () => {
    const length = random.pick([1, 2, 3, 10, 16, 31]);
    const size = random.pick([
      length.toString(16),
      length.toString(16).toUpperCase(),
      `00${length.toString(16)}`,
    ]);
    const extension = chance(random, 0.15) ? random.pick(EXTENSIONS) : '';
    return `${size}${extension}\r\n${bodyText(random, length)}\r\n`;
  });
  const trailers = chance(random, 0.3) ? fields(random, 3).replaceAll('Connection', 'x-c') : '';
  return `${chunks}${random.pick(['0', '0', '0', '000'])}\r\n${trailers}\r\n`;
};

const finalResponse = (random: Random, method: string): string => {
  const status = random.pick(FINAL);
  const line = `HTTP/1.${chance(random, 0.9) ? 1 : 0} ${status} ${random.pick(REASONS)}\r\n`;
  const bodiless = method === 'HEAD' || status === 204 || status === 304;
  const connection = chance(random, 0.2)
    ? framing(
        random,
        'Connection',
        random.pick(['close', 'keep-alive', 'Close', 'upgrade', 'close, x', 'x,close']),
      )
    : '';
  const around = (frames: string): string => fields(random, 3) + frames + connection + fields(random, 2);
  const kind = random.below(10);
  if (kind < 4) {
    const length = random.below(12);
    return `${line}${around(framing(random, 'Content-Length', length))}\r\n${bodiless ? '' : bodyText(random, length)}`;
  }
  if (kind < 8) {
    const te = chance(random, 0.85) ? 'chunked' : random.pick(TE);
    return `${line}${around(framing(random, 'Transfer-Encoding', te))}\r\n${bodiless ? '' : chunkedBody(random)}`;
  }
  if (kind === 8) {
    const length = random.pick(LENGTHS);
    return `${line}${around(framing(random, 'content-length', length))}\r\n${bodyText(random, random.below(12))}`;
  }
  return `${line}${around('')}\r\n${bodiless ? '' : bodyText(random, random.below(20))}`;
};

const valid = (random: Random, method: string, upgrade: boolean): string => {
  const interim = chance(random, 0.2)
    ? repeat(
        1 + random.below(2),
        () => `HTTP/1.1 ${random.pick(INTERIM)} ${random.pick(REASONS)}\r\n${fields(random, 1)}\r\n`,
      )
    : '';
  if (chance(random, upgrade ? 0.6 : 0.03))
    return `${interim}HTTP/1.1 101 Switching Protocols\r\n${framing(random, 'Upgrade', 'websocket')}${framing(random, 'Connection', random.pick(['Upgrade', 'upgrade', 'keep-alive, Upgrade', 'Upgrade,x']))}${fields(random, 1)}\r\n${bodyText(random, random.below(6))}`;
  const behind = chance(random, 0.06) ? random.pick(['\r\n', 'x', '\n', 'HTTP/1.1 200 OK\r\n\r\n']) : '';
  return interim + finalResponse(random, method) + behind;
};

const bend = (random: Random, text: string): string => {
  // Mostly in what frames it, which is short beside the body.
  const at = random.below(text.length + 1);
  const lines = text.split('\r\n');
  const line = random.below(lines.length);
  switch (random.below(9)) {
    case 0:
      return text.slice(0, at) + random.pick(NASTY) + text.slice(at);
    case 1:
      return text.slice(0, at) + text.slice(at + 1 + random.below(3));
    case 2:
      return text.slice(0, at) + String.fromCharCode(random.below(256)) + text.slice(at + 1);
    case 3:
      lines.splice(line, 0, lines[random.below(lines.length)] as string);
      return lines.join('\r\n');
    case 4:
      lines.splice(line, 1);
      return lines.join('\r\n');
    case 5:
      return text.replace(
        '\r\n',
        random.pick(['\n', '\r', '\r\r\n', '\n\r\n', '\r\n\r\n', ' \r\n', '\t\r\n']),
      );
    case 6: {
      const before = lines.slice(0, line).join('\r\n');
      return `${before}${line > 0 ? random.pick(['\n', '\r', '\r\n ', '\0\r\n', '\r\r\n']) : ''}${lines.slice(line).join('\r\n')}`;
    }
    case 7:
      return text.slice(0, at);
    default: {
      const one = lines[line] as string;
      const within = random.below(one.length + 1);
      lines[line] = one.slice(0, within) + random.pick(NASTY) + one.slice(within);
      return lines.join('\r\n');
    }
  }
};

export const bentResponse = (random: Random): BentResponse => {
  const method = random.pick(['GET', 'GET', 'GET', 'HEAD', 'POST'] as const);
  const upgrade = method === 'GET' && chance(random, 0.15);
  let text = valid(random, method, upgrade);
  const bends = random.pick([0, 0, 0, 1, 1, 1, 2, 3]);
  for (let at = 0; at < bends; at++) text = bend(random, text);
  const octets = Buffer.from(text, 'latin1');
  const cuts = Array.from({ length: random.pick([0, 0, 1, 2, 5]) }, () => random.below(octets.length + 1));
  return { octets, cuts: cuts.sort((a, b) => a - b), method, upgrade, bends };
};

export const piecesOf = (octets: Buffer, cuts: readonly number[]): Buffer[] => {
  const pieces: Buffer[] = [];
  let from = 0;
  for (const cut of [...cuts, octets.length]) {
    const to = Math.min(cut, octets.length);
    if (to > from) pieces.push(octets.subarray(from, to));
    from = Math.max(from, to);
  }
  return pieces;
};
