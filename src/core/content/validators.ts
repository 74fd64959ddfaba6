/** What a pattern can't say of the text that it matched: check digits, and whether a value is as random as a key. */

const digitsOf = (text: string): string => text.replace(/[^0-9]/g, '');

/** ISO/IEC 7812: card numbers. */
export const isLuhn = (text: string): boolean => {
  const digits = digitsOf(text);
  let sum = 0;
  for (let at = 0; at < digits.length; at++) {
    const digit = digits.charCodeAt(digits.length - 1 - at) - 0x30;
    sum += at % 2 === 0 ? digit : digit > 4 ? 2 * digit - 9 : 2 * digit;
  }
  // All digits the same is a placeholder, whatever the sum.
  return sum % 10 === 0 && /[^0]/.test(digits) && !/^([0-9])\1+$/.test(digits);
};

/** The remainder of a number with many digits, letters as 10 to 35 (ISO 7064). */
const remainder = (text: string, modulus: number): number => {
  let rest = 0;
  for (const letter of text) {
    const value = Number.parseInt(letter, 36);
    rest = (rest * (value > 9 ? 100 : 10) + value) % modulus;
  }
  return rest;
};

/** Characters of an IBAN by country (ISO 13616 registry). */
const IBAN_LENGTHS: Readonly<Record<string, number>> = Object.fromEntries(
  (
    'AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18 FO18 FR27 GB22 GE22 ' +
    'GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 ' +
    'MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20'
  )
    .split(' ')
    .map((entry) => [entry.slice(0, 2), Number(entry.slice(2))]),
);

/** Its first characters may be an IBAN with something behind it. */
export const isIban = (text: string): boolean => {
  const plain = text.replace(/[ -]/g, '').toUpperCase();
  const length = IBAN_LENGTHS[plain.slice(0, 2)];
  if (length === undefined || plain.length < length) return false;
  const iban = plain.slice(0, length);
  return remainder(iban.slice(4) + iban.slice(0, 4), 97) === 1;
};

/** US Social Security numbers that can have been given out. */
export const isSsn = (text: string): boolean => {
  const [area = '', group = '', serial = ''] = text.split(/[ -]/);
  return (
    !/^(?:000|666|9..)$/.test(area) && group !== '00' && serial !== '0000' && digitsOf(text) !== '123456789'
  );
};

/** Brazil's CPF: two check digits. */
export const isCpf = (text: string): boolean => {
  const digits = [...digitsOf(text)].map(Number);
  if (digits.length !== 11 || new Set(digits).size === 1) return false;
  const check = (length: number): number => {
    const sum = digits.slice(0, length).reduce((all, digit, at) => all + digit * (length + 1 - at), 0);
    return ((sum * 10) % 11) % 10;
  };
  return check(9) === digits[9] && check(10) === digits[10];
};

/** Spain's DNI and NIE: a letter for the remainder by 23. */
export const isDni = (text: string): boolean => {
  const plain = text.replace(/[ .-]/g, '').toUpperCase();
  const number = plain.slice(0, -1).replace(/^[XYZ]/, (letter) => String('XYZ'.indexOf(letter)));
  return 'TRWAGMYFPDXBNJZSQVHLCKE'[Number(number) % 23] === plain.at(-1);
};

const VERHOEFF_TURNS = [
  '0123456789',
  '1576283094',
  '5803796142',
  '8916043527',
  '9453126870',
  '4286573901',
  '2793806415',
  '7046913258',
];

/** The dihedral group of ten. */
const dihedral = (a: number, b: number): number =>
  a < 5 ? (b < 5 ? (a + b) % 5 : 5 + ((a + b) % 5)) : b < 5 ? 5 + ((a - b) % 5) : (a - b + 5) % 5;

/** India's Aadhaar: Verhoeff's check digit. */
export const isAadhaar = (text: string): boolean => {
  const digits = [...digitsOf(text)].reverse().map(Number);
  let check = 0;
  for (const [at, digit] of digits.entries())
    check = dihedral(check, Number(VERHOEFF_TURNS[at % 8]?.[digit]));
  return digits.length === 12 && check === 0 && new Set(digits).size > 2;
};

/** Germany's tax number: ISO 7064 MOD 11,10, one digit of the first ten twice or three times. */
export const isSteuerId = (text: string): boolean => {
  const digits = [...digitsOf(text)].map(Number);
  if (digits.length !== 11 || digits[0] === 0) return false;
  const distinct = new Set(digits.slice(0, 10)).size;
  if (distinct !== 8 && distinct !== 9) return false;
  let product = 10;
  for (const digit of digits.slice(0, 10)) product = (((digit + product) % 10 || 10) * 2) % 11;
  return (11 - product) % 10 === digits[10];
};

/** Britain's NHS number: modulo 11. */
export const isNhs = (text: string): boolean => {
  const digits = [...digitsOf(text)].map(Number);
  const sum = digits.slice(0, 9).reduce((all, digit, at) => all + digit * (10 - at), 0);
  return digits.length === 10 && new Set(digits).size > 1 && (11 - (sum % 11)) % 11 === digits[9];
};

/** An address of the network that is of somebody: not private, reserved, or a version number. */
export const isPublicIp = (text: string): boolean => {
  const [a = 0, b = 0] = text.split('.').map(Number);
  const parts = text.split('.').map(Number);
  if (parts.length !== 4 || parts.some((part) => part > 255)) return false;
  return !(
    a === 0 ||
    a === 10 ||
    a === 127 ||
    a >= 224 ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && b === 168) ||
    (a === 169 && b === 254) ||
    (a === 100 && b >= 64 && b < 128) ||
    (a === 192 && b === 0) ||
    (a === 198 && (b === 18 || b === 19 || b === 51)) ||
    (a === 203 && b === 0)
  );
};

/** Bits a character (Shannon), of the text's own letters. */
export const entropyOf = (text: string): number => {
  const counts = new Map<string, number>();
  for (const letter of text) counts.set(letter, (counts.get(letter) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length);
  return bits;
};

const PLACEHOLDER =
  /example|sample|placeholder|your[-_]?|changeme|redacted|dummy|test[-_]?(?:key|token|secret)|xxxx|\*\*\*|\.\.\.|<|>|\$\{|\{\{|process\.env|os\.environ|getenv|12345678|abcdefgh|deadbeef|0{8}|(?:null|none|undefined|true|false)$/i;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** What stands behind a name such as `api_key`: as random as a key, and no placeholder. */
export const looksRandom = (text: string): boolean => {
  if (PLACEHOLDER.test(text) || UUID.test(text)) return false;
  const kinds = [/[a-z]/, /[A-Z]/, /[0-9]/].filter((kind) => kind.test(text)).length;
  if (kinds < 2) return false;
  const isHex = /^[0-9a-fA-F]+$/.test(text);
  return entropyOf(text) >= (isHex ? 3 : text.length >= 24 ? 3.7 : 3.2);
};

/** A password behind its name: no placeholder, no name of a thing in a program, some variety. */
export const looksLikePassword = (text: string): boolean =>
  !PLACEHOLDER.test(text) &&
  !/^[A-Za-z_.]+(?:\(.*)?$|^[~./]/.test(text) &&
  /[^a-z_-]/.test(text) &&
  entropyOf(text) >= 2.5;

/** The first part of a JWT is the base64 of a JSON object with `alg`. */
export const isJwtHead = (text: string): boolean => {
  const head = Buffer.from(text.split('.', 1)[0] ?? '', 'base64url').toString('latin1');
  return head.startsWith('{') && /"(?:alg|typ|enc)"/.test(head);
};

/** A form with so much structure that only examples of its documentation are to be told from it. */
export const isNoExample = (text: string): boolean =>
  !/example|xxxxx|00000000|12345678901234567890/i.test(text);

/** Between a name and a host in a URL: none of the words that stand there in documentation. */
export const isUrlPassword = (text: string): boolean =>
  !/^(?:password|passw?d?|pwd|secret|user|x+|\*+|\$.*|\{.*|%s|\.+)$/i.test(text) &&
  !/example|changeme|your|redacted|\$\{|\{\{/i.test(text);
