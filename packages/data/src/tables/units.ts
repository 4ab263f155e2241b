/** Numbers that are written with a unit, such as 103 EUR: no option reads them, and as categories they say nothing. */

/** Of different values, so many must have a unit, and so many units there may be. */
const PART = 0.8;
const MOST_UNITS = 3;

const NUMBER = String.raw`[+\-\u2212]?\d[\d.,'\u2019_ \u00a0\u2009\u202f]*`;
/** 1st and 2nd have none. */
const UNIT = String.raw`(?!(?:st|nd|rd|th)$)[\p{L}°µ][\p{L}°µ²³/^·.\-]{0,11}`;
const CURRENCY = String.raw`(?:AUD|BRL|CAD|CHF|CNY|DKK|EUR|GBP|HKD|INR|JPY|KRW|MXN|NOK|NZD|PLN|RMB|RUB|SEK|SGD|TRY|TWD|USD|ZAR|Rs\.?|(?:US|HK|NT|NZ|A|C|R|S)\$)`;
const behind = new RegExp(`^${NUMBER}(?<=\\d)(\\s*)(${UNIT})$`, 'u');
const ahead = new RegExp(`^(${CURRENCY})\\s*${NUMBER}$`, 'u');

interface Unit {
  readonly name: string;
  /** Whether it stands apart, or can be nothing else: 12A may be a house. */
  readonly sure: boolean;
}

function unitOf(text: string): Unit | undefined {
  const [, space, unit] = behind.exec(text) ?? [];
  if (unit !== undefined) return { name: unit, sure: space !== '' };
  const [, currency] = ahead.exec(text) ?? [];
  return currency === undefined ? undefined : { name: currency, sure: true };
}

/** The units of values that are nearly all numbers with one, the most frequent first; none where they are anything else. */
function unitsOf(values: readonly string[]): readonly string[] {
  const units = values.flatMap((text) => unitOf(text) ?? []);
  if (units.length === 0 || units.length < PART * values.length) return [];
  const counts = new Map<string, number>();
  for (const { name } of units) counts.set(name, (counts.get(name) ?? 0) + 1);
  if (counts.size > (units.every(({ sure }) => sure) ? MOST_UNITS : 1)) return [];
  return [...counts].sort(([, a], [, b]) => b - a).map(([name]) => name);
}

/** What to do about values that are numbers with a unit, as a clause; undefined where they are none. */
export function withoutUnit(values: Iterable<string>): string | undefined {
  const units = unitsOf([...new Set(values)]);
  const named = units.map((name) => `'${name}'`).join(', ');
  if (units.length === 0) return undefined;
  return units.length === 1
    ? `remove the unit ${named} from its numbers`
    : `convert its numbers to one unit and remove the units ${named}`;
}

/** The same as a sentence, with a space behind it; empty where there is nothing to do. */
export function unitCure(values: Iterable<string>): string {
  const cure = withoutUnit(values);
  return cure === undefined ? '' : `${cure.charAt(0).toUpperCase()}${cure.slice(1)}. `;
}

/** Of one value, which may have been mistyped. */
export function oneUnitCure(text: string): string {
  const unit = unitOf(text);
  return unit === undefined ? '' : `If '${unit.name}' is a unit, remove it from its numbers. `;
}
