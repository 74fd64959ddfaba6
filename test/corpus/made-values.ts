/**
 * What stands in place of `{{alnum 36}}` and the like in the corpora: values that are made when they are measured, always the same ones, so that no
 * file of the repository holds anything that looks like a key or a card.
 */
import { createHash } from 'node:crypto';

const ALPHABETS: Readonly<Record<string, string>> = {
  digits: '0123456789',
  hex: '0123456789abcdef',
  upper: 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567',
  bech: 'QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L',
  letters: 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz',
  alnum: 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789',
  url: 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_',
  b64: 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
};
const FIRST = ['maria', 'james', 'wei', 'fatima', 'lars', 'ines', 'olga', 'kenji'];
const LAST = ['keller', 'okafor', 'rossi', 'lindqvist', 'moreau', 'tanaka', 'novak', 'silva'];
const PASSWORDS = [
  'Tr0ub4dor&3',
  'hunter2!x',
  'S0mmer-2024',
  'qX9#mLp2vR',
  'corr3ct.H0rse',
  'Wint3r!sComing',
  'p4ssPhr4se_77',
];
const LOREM =
  'the agents of a mesh ask each other for work and each request says on whose authority it comes and what it may do so that a door can decide without asking anyone else and write down what it decided'.split(
    ' ',
  );

/** The same numbers for the same seed. */
class Source {
  private state: number;
  constructor(seed: string) {
    this.state = createHash('sha256').update(seed).digest().readUInt32BE(0);
  }
  below(limit: number): number {
    this.state = (Math.imul(this.state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.state / 2 ** 32) * limit);
  }
  of(alphabet: string, length: number): string {
    return Array.from({ length }, () => alphabet.charAt(this.below(alphabet.length))).join('');
  }
  pick(list: readonly string[]): string {
    return list[this.below(list.length)] ?? '';
  }
}

/** The digit that makes a number pass Luhn. */
const luhnDigit = (digits: string): string => {
  let sum = 0;
  for (let at = 0; at < digits.length; at++) {
    const digit = Number(digits.at(-1 - at)) * (at % 2 === 0 ? 2 : 1);
    sum += digit > 9 ? digit - 9 : digit;
  }
  return String((10 - (sum % 10)) % 10);
};

const modulo97 = (text: string): number =>
  [...text].reduce((rest, letter) => Number(`${rest}${Number.parseInt(letter, 36)}`) % 97, 0);

const groups = (text: string, size: number): string =>
  text.replace(new RegExp(`(.{${size}})(?=.)`, 'g'), '$1 ');

const iban = (source: Source, country: string, length: number): string => {
  const letters = country === 'GB' ? source.of('ABCDEFGH', 4) : '';
  const account =
    country === 'NL'
      ? source.of('ABCDEFGH', 4) + source.of('0123456789', length - 4)
      : letters + source.of('0123456789', length - letters.length);
  return `${country}${String(98 - modulo97(`${account}${country}00`)).padStart(2, '0')}${account}`;
};

/** Weighted sums of CPF and NHS. */
const weighted = (digits: string, first: number): number =>
  [...digits].reduce((sum, digit, at) => sum + Number(digit) * (first - at), 0);

const cpf = (source: Source): string => {
  const base = source.of('0123456789', 9);
  const one = String(((weighted(base, 10) * 10) % 11) % 10);
  return base + one + String(((weighted(base + one, 11) * 10) % 11) % 10);
};

const nhs = (source: Source): string => {
  for (;;) {
    const base = source.of('0123456789', 9);
    const check = (11 - (weighted(base, 10) % 11)) % 11;
    if (check < 10) return `${base}${check}`;
  }
};

const steuerId = (source: Source): string => {
  const digits = [...'123456789'].sort(() => source.below(3) - 1);
  digits.push(digits[source.below(9)] ?? '1');
  const base = digits.join('');
  let product = 10;
  for (const digit of base) product = (((Number(digit) + product) % 10 || 10) * 2) % 11;
  return `${base}${(11 - product) % 10}`;
};

const D5 = Array.from({ length: 10 }, (_, a) =>
  Array.from({ length: 10 }, (__, b) =>
    a < 5
      ? b < 5
        ? (a + b) % 5
        : 5 + ((a + b - 5) % 5)
      : b < 5
        ? 5 + ((a - 5 - b + 5) % 5)
        : (a - b + 5) % 5,
  ),
);
const TURN = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
const P8: number[][] = [[...Array(10).keys()]];
while (P8.length < 8) P8.push(TURN.map((digit) => P8.at(-1)?.[digit] ?? 0));

const aadhaar = (source: Source): string => {
  const base = `${source.of('23456789', 1)}${source.of('0123456789', 10)}`;
  for (let digit = 0; digit < 10; digit++) {
    let check = 0;
    for (const [at, one] of [...`${base}${digit}`].reverse().entries())
      check = D5[check]?.[P8[at % 8]?.[Number(one)] ?? 0] ?? 0;
    if (check === 0) return `${base}${digit}`;
  }
  return base;
};

const base64 = (text: string): string => Buffer.from(text).toString('base64url');

const value = (source: Source, name: string, args: readonly string[]): string => {
  const alphabet = ALPHABETS[name];
  if (alphabet !== undefined) return source.of(alphabet, Number(args[0]));
  const card = (prefix: string, length: string): string => {
    const base = prefix + source.of('0123456789', Number(length) - prefix.length - 1);
    return base + luhnDigit(base);
  };
  const [first = '', second = ''] = args;
  switch (name) {
    case 'pick':
      return source.pick(args);
    case 'first':
      return source.pick(FIRST);
    case 'last':
      return source.pick(LAST);
    case 'pass':
      return source.pick(PASSWORDS);
    case 'lorem':
      return Array.from({ length: 60 }, () => source.pick(LOREM)).join(' ');
    case 'uuid':
      return [8, 4, 4, 4, 12].map((length) => source.of('0123456789abcdef', length)).join('-');
    case 'jwt':
      return `${base64('{"alg":"RS256","typ":"JWT"}')}.${base64(`{"sub":"${source.of('0123456789', 10)}"}`)}.${source.of(ALPHABETS.url ?? '', 86)}`;
    case 'basic':
      return Buffer.from(`${source.pick(FIRST)}:${source.pick(PASSWORDS)}`).toString('base64');
    case 'card':
      return card(first, second);
    case 'cardsp':
      return groups(card(first, second), 4);
    case 'cardamex':
      return card('37', '15').replace(/(.{4})(.{6})/, '$1 $2 ');
    case 'cardbad': {
      const good = card(first, second);
      return good.slice(0, -1) + String((Number(good.at(-1)) + 1) % 10);
    }
    case 'iban':
      return iban(source, first, Number(second));
    case 'ibansp':
      return groups(iban(source, first, Number(second)), 4);
    case 'ibanbad':
      return iban(source, first, Number(second)).replace(
        /^(..)(..)/,
        (_, country: string, check: string) => `${country}${check === '42' ? '43' : '42'}`,
      );
    case 'ssn':
    case 'ssnsp':
    case 'digits9': {
      const parts = [
        `${source.of('12345', 1)}${source.of('12345789', 2)}`,
        source.of('12345', 2),
        source.of('12345678', 4),
      ];
      return parts.join(name === 'ssn' ? '-' : name === 'ssnsp' ? ' ' : '');
    }
    case 'cpfplain':
      return cpf(source);
    case 'cpf':
      return cpf(source).replace(/(...)(...)(...)(..)/, '$1.$2.$3-$4');
    case 'nhs':
      return nhs(source).replace(/(...)(...)/, '$1 $2 ');
    case 'steuer':
      return steuerId(source);
    case 'aadhaar':
      return aadhaar(source);
    case 'aadhaarsp':
      return groups(aadhaar(source), 4);
    case 'sin': {
      const base = source.of('123456789', 8);
      return groups(base + luhnDigit(base), 3);
    }
    case 'dni':
    case 'nie': {
      const digits = source.of('0123456789', name === 'dni' ? 8 : 7);
      return `${name === 'nie' ? 'X' : ''}${digits}${'TRWAGMYFPDXBNJZSQVHLCKE'[Number(digits) % 23]}`;
    }
    default:
      throw new Error(`no value is called ${name}`);
  }
};

/** A text with its values made; the same for the same text and seed. */
export const withMadeValues = (text: string, seed: string): string => {
  const source = new Source(seed);
  return text.replace(/\{\{([a-z0-9]+)((?: [A-Za-z0-9]+)*)\}\}/g, (_, name: string, args: string) =>
    value(source, name, args.trim().split(' ')),
  );
};
