/** The `pii` detector: numbers with check digits by themselves, numbers without one only behind a word that says what they are. */
import type { PatternSpec } from './pattern-set.ts';
import {
  isAadhaar,
  isCpf,
  isDni,
  isIban,
  isLuhn,
  isNhs,
  isPublicIp,
  isSsn,
  isSteuerId,
} from './validators.ts';

const number = (
  id: string,
  source: string,
  isReal?: (text: string) => boolean,
  need = source,
): PatternSpec => ({
  id: `pii/${id}`,
  // Not a part of a longer number, of a name or of a fraction.
  source: `(?:^|[^a-z0-9_./+-]|[ :=(]-)(${source})(?:$|[^a-z0-9_-])`,
  needs: [need],
  ...(isReal !== undefined && { isReal }),
});

/** Behind a word, with a few others between. */
const behind = (
  id: string,
  names: string,
  source: string,
  isReal?: (text: string) => boolean,
  need = '[0-9][0-9 ./-]*[0-9]',
): PatternSpec => ({
  id: `pii/${id}`,
  source: `(?:^|[^a-z])(?:${names})(?:[^a-z0-9][^0-9]{0,23}[^a-z0-9]|[^a-z0-9]{1,4})(${source})(?:$|[^a-z0-9])`,
  needs: [`(?:^|[^a-z])(?:${names})[^a-z0-9]`, need],
  ...(isReal !== undefined && { isReal }),
});

const EXAMPLE_HOST =
  /@(?:[a-z0-9-]+\.)*(?:example|test|invalid|localhost)(?:\.[a-z]+)?$|@(?:[a-z0-9-]+\.)*(?:local|internal|svc)$|^(?:git|noreply|no-reply|donotreply)@|\.(?:png|jpg|gif|svg|js|ts|css)$/i;

export const PII: readonly PatternSpec[] = [
  number(
    'card',
    '(?:4[0-9]{3}|5[1-5][0-9]{2}|2[2-7][0-9]{2}|6(?:011|5[0-9]{2}|4[4-9][0-9])|35(?:2[89]|[3-8][0-9]))[ -]?[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}(?:[0-9]{3})?|3[47][0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{5}|3(?:0[0-5]|[68][0-9])[0-9][ -]?[0-9]{6}[ -]?[0-9]{4}',
    isLuhn,
    '[2-6][0-9][0-9][0-9][ -]?[0-9][0-9][0-9][0-9][ -]?[0-9][0-9][0-9][0-9]|3[0-8][0-9][0-9][ -]?[0-9][0-9][0-9][0-9][0-9][0-9][ -]?[0-9][0-9][0-9]',
  ),
  number(
    'iban',
    '[a-z]{2}[0-9]{2}(?:[ -]?[a-z0-9]{4}){2,7}(?:[ -]?[a-z0-9]{1,4})?',
    isIban,
    '[a-z][a-z][0-9][0-9][ -]?[a-z0-9][a-z0-9][a-z0-9][a-z0-9][ -]?[a-z0-9]*[0-9][0-9]',
  ),
  number('us-ssn', '[0-9]{3}-[0-9]{2}-[0-9]{4}', isSsn),
  behind(
    'us-ssn-named',
    'ssn|social security(?: (?:number|no\\.?|num))?',
    '[0-9]{3}[ -]?[0-9]{2}[ -]?[0-9]{4}',
  ),
  behind(
    'us-itin',
    'itin|ein|tax ?(?:payer)? ?id(?:entification)?(?: (?:number|no\\.?))?',
    '9[0-9]{2}-[0-9]{2}-[0-9]{4}|[0-9]{2}-[0-9]{7}',
  ),
  behind(
    'us-bank-account',
    'account (?:number|no\\.?|num|#)|acct\\.?(?: (?:number|no\\.?|#))?|routing(?: (?:number|no\\.?))?|kontonummer|numero de cuenta|compte bancaire',
    '[0-9]{8,17}',
  ),
  behind(
    'uk-nino',
    'national insurance(?: (?:number|no\\.?))?|nino?|ni (?:number|no\\.?)',
    '[a-ceghj-prstw-z][a-ceghj-nprstw-z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[a-d]',
  ),
  behind('uk-nhs', 'nhs(?: (?:number|no\\.?))?', '[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{4}', isNhs),
  behind(
    'de-tax-id',
    'steuer-?(?:id|identifikationsnummer|nummer)|idnr\\.?|tax id',
    '[0-9]{2} ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}',
    isSteuerId,
  ),
  behind('es-dni', 'dni|nie|nif|documento', '(?:[0-9]{8}|[xyz][0-9]{7})[ -]?[a-z]', isDni),
  behind(
    'fr-nir',
    'nir|securite sociale|insee|secu',
    '[12] ?[0-9]{2} ?(?:0[1-9]|1[0-2]) ?[0-9]{2} ?[0-9]{3} ?[0-9]{3}(?: ?[0-9]{2})?',
  ),
  behind(
    'it-codice-fiscale',
    'codice fiscale|c\\.?f\\.?|fiscal code',
    '[a-z]{6}[0-9]{2}[abcdehlmprst][0-9]{2}[a-z][0-9]{3}[a-z]',
  ),
  number('br-cpf', '[0-9]{3}\\.[0-9]{3}\\.[0-9]{3}-[0-9]{2}', isCpf),
  behind('br-cpf-named', 'cpf', '[0-9]{11}', isCpf),
  behind('in-aadhaar', 'aadhaar|aadhar|uidai|uid', '[2-9][0-9]{3}[ -]?[0-9]{4}[ -]?[0-9]{4}', isAadhaar),
  behind('in-pan', 'pan(?: (?:number|no\\.?|card))?', '[a-z]{3}[abcfghljpt][a-z][0-9]{4}[a-z]'),
  behind('ca-sin', 'sin|social insurance(?: (?:number|no\\.?))?', '[0-9]{3}[ -][0-9]{3}[ -][0-9]{3}', isLuhn),
  behind(
    'au-tfn',
    'tfn|tax file(?: (?:number|no\\.?))?|medicare(?: (?:number|no\\.?|card))?',
    '[0-9]{3,4}[ -]?[0-9]{3,5}[ -]?[0-9]{1,3}',
  ),
  behind(
    'passport',
    'passport(?: (?:number|no\\.?|#))?|reisepass(?:nummer)?|passeport|pasaporte|passnummer',
    '[a-z]{0,2}[0-9]{6,9}|[cfghjklmnprtvwxyz0-9]{9}',
  ),
  behind(
    'driving-licence',
    "driver'?s? ?licen[cs]e(?: (?:number|no\\.?|#))?|driving licen[cs]e(?: (?:number|no\\.?))?|fuhrerschein(?:nummer)?|dl (?:number|no\\.?|#)",
    '[a-z]{0,5}[0-9][a-z0-9-]{5,16}',
  ),
  behind(
    'birth-date',
    'date of birth|dob|birth ?date|born(?: on)?|birthday|geburtsdatum|geboren(?: am)?|geb\\.|fecha de nacimiento|date de naissance|data di nascita|data de nascimento',
    '[0-9]{1,2}[./ -][0-9]{1,2}[./ -](?:19|20)[0-9]{2}|(?:19|20)[0-9]{2}[./-][0-9]{1,2}[./-][0-9]{1,2}|[0-9]{1,2}(?:st|nd|rd|th|\\.)? (?:of )?[a-z]{3,9},? (?:19|20)[0-9]{2}',
  ),
  {
    id: 'pii/email',
    source: '(?:^|[^a-z0-9._%+-])([a-z0-9][a-z0-9._%+-]{0,63}@(?:[a-z0-9-]{1,40}\\.){1,4}[a-z]{2,18})',
    needs: ['@[a-z0-9-]+\\.[a-z]'],
    isReal: (text) => !EXAMPLE_HOST.test(text),
  },
  number(
    'phone',
    '\\+[1-9][0-9]{0,2}[ .-]?(?:\\([0-9]{1,4}\\)[ .-]?)?[0-9]{1,4}(?:[ .-]?[0-9]{2,4}){2,4}|\\([2-9][0-9]{2}\\) ?[2-9][0-9]{2}[ .-][0-9]{4}|[2-9][0-9]{2}[.-][2-9][0-9]{2}[.-][0-9]{4}',
    (text) => {
      const digits = text.replace(/[^0-9]/g, '').length;
      return digits >= 9 && digits <= 15 && !/555[ .-]?01[0-9]{2}$/.test(text);
    },
    '\\+[1-9][0-9 .()-]*[0-9]|\\([2-9][0-9][0-9]\\) ?[2-9]|[2-9][0-9][0-9][.-][2-9][0-9][0-9][.-][0-9]',
  ),
  behind(
    'phone-named',
    'phone|tel(?:ephone|efon|efono)?\\.?|mobile|mobil|cell|handy|fax|whatsapp|call me(?: at| on)?|my number|rufnummer|telefonnummer|movil',
    '\\+?\\(?[0-9][0-9 ()./-]{5,18}[0-9]',
    (text) => {
      const digits = text.replace(/[^0-9]/g, '').length;
      return digits >= 7 && digits <= 15 && !/555[ .-]?01[0-9]{2}$/.test(text);
    },
  ),
  behind(
    'public-ip',
    'ip(?: address|v4)?|from|client|host|remote',
    '(?:[0-9]{1,3}\\.){3}[0-9]{1,3}',
    isPublicIp,
    '[0-9]\\.[0-9]+\\.[0-9]+\\.[0-9]',
  ),
  behind(
    'medical-record',
    'mrn|medical record(?: (?:number|no\\.?|#))?|patient(?: id| number| no\\.?)|patientennummer',
    '[a-z]{0,3}-?[0-9]{6,10}',
  ),
  number(
    'street-address',
    '[0-9]{1,5} (?:[nsew]\\.? )?(?:[a-z]{2,15} ){1,3}(?:street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|way|parkway|pkwy|place|pl)\\.?,? (?:(?:apt|suite|unit|#)\\.? ?[a-z0-9]{1,5},? )?[a-z .]{2,25},? [a-z]{2},? [0-9]{5}(?:-[0-9]{4})?',
    undefined,
    '[a-z][a-z],? [0-9][0-9][0-9][0-9][0-9]',
  ),
  number(
    'street-address',
    '[a-z-]{3,25} ?(?:stra(?:ß|ss)e|str\\.|weg|allee|platz|gasse) [0-9]{1,4} ?[a-z]?,? (?:d-)?[0-9]{4,5} [a-zß]{3,25}',
    undefined,
    '(?:stra(?:ß|ss)e|str\\.|weg|allee|platz|gasse) [0-9]',
  ),
];
