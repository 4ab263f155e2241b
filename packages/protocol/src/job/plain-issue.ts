/** What zod says is wrong with a value, in the words of people who write YAML. Loads nothing. */

/** Kinds of values, by their names in zod. */
const kinds: Readonly<Record<string, string>> = {
  array: 'a list, such as ["a", "b"]',
  object: 'keys with values, such as { a: 1 }',
  record: 'keys with values, such as { a: 1 }',
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
};

const bounds: Readonly<Record<string, string>> = {
  '>=': 'at least',
  '<=': 'at most',
  '>': 'more than',
  '<': 'fewer than',
};
const unitless: Readonly<Record<string, string>> = {
  '>=': 'of at least',
  '<=': 'of at most',
  '>': 'above',
  '<': 'below',
};

/** What zod says of a value, for people who know no zod. */
export function plainly(message: string): string {
  if (message === 'Invalid input') return 'it is missing, or has the wrong type';
  const [, choices] =
    /^(?:Invalid option: expected one of|Invalid discriminator value\. Expected) (.+)$/.exec(message) ?? [];
  if (choices !== undefined) {
    const known = choices.split('|').map((choice) => choice.replaceAll(/["' ]/g, ''));
    return `expected one of ${known.filter((choice) => choice !== 'undefined').join(', ')}`;
  }
  const [, kind = '', sign, bound, unit] =
    /^Too (?:small|big): expected (\w+) to (?:be|have) ([<>]=?)(-?[\d.e+-]+)(?: (\w+))?$/.exec(message) ?? [];
  if (unit !== undefined && sign === '>=' && bound === '1') return 'it is empty';
  if (sign !== undefined)
    return unit
      ? `expected ${bounds[sign]} ${bound} ${unit}`
      : `expected ${kinds[kind] ?? kind} ${unitless[sign]} ${bound}`;
  const [, wanted, came] = /^Invalid input: expected (\w+), received (\w+)$/.exec(message) ?? [];
  if (wanted === undefined) return message;
  const right = kinds[wanted] ?? wanted;
  if (wanted === 'int' && came === 'number') return `expected ${right}`;
  return came === 'undefined'
    ? `it is missing; expected ${right}`
    : `expected ${right}, not ${kinds[came!] ?? came}`;
}
