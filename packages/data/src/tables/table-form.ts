/** How a table is written: what a job says of it goes to every reader of that table, and to predictions with the weights. */

/** What numbers look like. */
export interface Notation {
  /** Default '.'. */
  readonly decimal: '.' | ',';
  /** Between groups of digits. Default '': none. A space stands for any kind of space. */
  readonly thousands: string;
}

export interface TableForm extends Notation {
  /** Default ','. */
  readonly delimiter: string;
  /** Around fields that hold a delimiter; '' for none. Default '"'. */
  readonly quote: string;
  /** A label of the WHATWG encoding standard. Default utf-8. */
  readonly encoding: string;
  /** Lines that begin with it are left out. Default '': none. */
  readonly comment: string;
  /** Lines before the header. Default 0. */
  readonly skipLines: number;
  /** Whether the first row names the columns; without, they are called 1, 2, ... Undefined: it does, unless it looks like numbers. */
  readonly header?: boolean | undefined;
  /** Values that say that there is none, besides the empty one, exactly as they are written. Undefined: `missingWords`, of numbers. */
  readonly missingValues?: readonly string[] | undefined;
}

export const plainForm: TableForm = {
  delimiter: ',',
  quote: '"',
  encoding: 'utf-8',
  comment: '',
  skipLines: 0,
  decimal: '.',
  thousands: '',
};

const keys = [...(Object.keys(plainForm) as (keyof TableForm)[]), 'header', 'missingValues'] as const;

/** The form among the options of a data section, whose other keys are left out. */
export function formOf(options: Partial<TableForm>): TableForm {
  return { ...plainForm, ...saidOf(options) };
}

/** What is said of the form and is not as in `plainForm`: this is kept with the weights. */
export function saidOf(options: Partial<TableForm>): Partial<TableForm> {
  const plain: Partial<TableForm> = plainForm;
  return Object.fromEntries(
    keys.flatMap((key) =>
      options[key] === undefined || options[key] === plain[key] ? [] : [[key, options[key]]],
    ),
  );
}

/** Letters of either case. */
const missingWords = new Set(['', 'na', 'n/a', 'nan', 'null', 'none', '?']);

/** Whether a value of a column of numbers says that there is none. */
export function isMissing(text: string, { missingValues }: Pick<TableForm, 'missingValues'>): boolean {
  if (missingValues) return text === '' || missingValues.includes(text);
  return missingWords.has(text.toLowerCase());
}

/** Whether there is no label. NA may be Namibia or North America, and None a class: only what the options say is missing, and nothing. */
export function isMissingLabel(
  text: string,
  { missingValues = [] }: Pick<TableForm, 'missingValues'>,
): boolean {
  return text === '' || missingValues.includes(text);
}

/** The value of a number in this notation; undefined when it is none, or too large. */
export function readNumber(text: string, notation: Notation): number | undefined {
  const plain = inPlainNotation(text, notation);
  return plain === undefined ? undefined : parsePlain(plain);
}

function parsePlain(text: string): number | undefined {
  if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}

const separators: Readonly<Record<string, string>> = { ' ': '[ \u00a0\u2009\u202f]', "'": "['\u2019]" };

const groupings = new Map<string, RegExp>();

/** Digits in groups of three, or of two as in India. */
function groupingOf(thousands: string, decimal: string): RegExp {
  const key = thousands + decimal;
  const known = groupings.get(key);
  if (known) return known;
  const between = Object.hasOwn(separators, thousands) ? separators[thousands]! : `[${thousands}]`;
  const made = new RegExp(
    `^([+-]?(?:[1-9]\\d{0,2})(?:${between}\\d{2,3})*${between}\\d{3})((?:[${decimal}]\\d*)?)$`,
  );
  groupings.set(key, made);
  return made;
}

/** A number in this notation, with a point and nothing between its digits; of what is no number anything else, or undefined. */
export function inPlainNotation(text: string, { decimal, thousands }: Notation): string | undefined {
  let digits = text;
  if (thousands !== '') {
    const [, whole, rest] = groupingOf(thousands, decimal).exec(text) ?? [];
    if (whole !== undefined) digits = whole.replace(/[^\d+-]/g, '') + rest;
  }
  if (decimal === '.') return digits;
  // A point is no decimal sign here.
  return digits.includes('.') ? undefined : digits.replace(',', '.');
}

const notations: readonly Notation[] = [
  { decimal: ',', thousands: '' },
  { decimal: ',', thousands: '.' },
  { decimal: '.', thousands: ',' },
  { decimal: ',', thousands: ' ' },
  { decimal: '.', thousands: ' ' },
  { decimal: '.', thousands: "'" },
  { decimal: ',', thousands: "'" },
  { decimal: '.', thousands: '_' },
];

/** The notations in which all of these are numbers, but for those whose signs occur in none of them. */
export function notationsOf(values: readonly string[]): readonly Notation[] {
  if (values.length === 0) return [];
  const occurs = (sign: string) => values.some((value) => value.includes(sign));
  const kinds = (sign: string) =>
    sign === ' '
      ? values.some((value) => /[ \u00a0\u2009\u202f]/.test(value))
      : occurs(sign) || (sign === "'" && occurs('\u2019'));
  // 18.035.063 needs no comma beside it: a decimal sign is there once.
  const isRepeated = (sign: string) => sign === '.' && values.some((value) => value.split(sign).length > 2);
  return notations.filter(
    ({ decimal, thousands }) =>
      (thousands === '' || kinds(thousands)) &&
      (decimal === '.' || occurs(decimal) || isRepeated(thousands)) &&
      values.every((value) => readNumber(value, { decimal, thousands }) !== undefined),
  );
}

const arabicSigns: Readonly<Record<string, string>> = { '\u066a': '%', '\u066b': '.', '\u066c': ',' };

const isDigit = (code: number) => /\p{Nd}/u.test(String.fromCodePoint(code));

/** With 0 to 9 for the digits of other scripts: full-width ones, as East Asian keyboards write them, Arabic ones, those of India. */
export function inAsciiDigits(text: string): string {
  if (!/(?!\d)\p{Nd}/u.test(text)) return text;
  const narrow = text.normalize('NFKC').replace(/[\u066a-\u066c]/g, (sign) => arabicSigns[sign]!);
  return narrow.replace(/(?!\d)\p{Nd}/gu, (digit) => {
    const code = digit.codePointAt(0)!;
    // Each script has its ten in a row, from 0 on.
    let value = 0;
    while (value < 9 && isDigit(code - value - 1)) value++;
    return String(value);
  });
}

/** A number that people would read as one: in some notation, with a unit of money, a per cent sign, another minus, in brackets. */
export function looksLikeNumber(text: string): boolean {
  const narrow = inAsciiDigits(text);
  if (narrow !== text) return looksLikeNumber(narrow);
  if (!/\d/.test(text)) return /^[+-]?inf(inity)?$/i.test(text);
  if (/^[(+\-\u2212]?\s?\p{Sc}?\s?[\d.,'\u2019 \u00a0\u2009\u202f_]*\d[.,]?\s?[%\p{Sc}]?\)?$/u.test(text)) {
    // 1.2.3 and 192.168.0.1 are no numbers in any notation.
    const bare = text.replace(/[^\d.,'\u2019 \u00a0\u2009\u202f_]/gu, '').trim();
    return readNumber(bare, plainForm) !== undefined || notationsOf([bare]).length > 0;
  }
  return false;
}
