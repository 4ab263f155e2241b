/** Options of layers and presets, which come from outside: checked against their rules, defaults filled in. */
import { LayerError, type OptionRule, type OptionRules, type OptionValue } from './layer.ts';
import { suggest } from './nearest.ts';

/** Largest extent of a shape. */
export const MAX_EXTENT = 2 ** 24;

/** Whether layers, their types and parameters may be called that. */
export const isName = (value: unknown): value is string =>
  typeof value === 'string' && /^[A-Za-z][A-Za-z0-9_-]{0,63}$/.test(value);
export const NAME_FORM = "a letter, then at most 63 letters, digits, '-' or '_'";

/** What is wrong with an option. */
export class OptionError extends LayerError {
  override readonly name = 'OptionError';
  /** The option's name, as it was given. */
  readonly option: string;
  constructor(option: string, message: string) {
    super(message);
    this.option = option;
  }
}

/**
 * The options that `given` has, with defaults for those that it lacks.
 * @param others names that are somebody else's to check
 * @throws OptionError naming the option, what came and what was expected
 */
export function checkOptions(
  rules: OptionRules,
  given: Readonly<Record<string, unknown>>,
  others: readonly string[],
): Readonly<Record<string, OptionValue>> {
  const names = Object.keys(rules);
  const unknown = Object.keys(given).find((name) => !others.includes(name) && !names.includes(name));
  if (unknown !== undefined) {
    const known = [...names, ...others.filter((name) => name !== 'type' && name !== 'preset')];
    throw new OptionError(unknown, `no option '${unknown}'${suggest(unknown, known)}`);
  }
  return Object.fromEntries(
    Object.entries(rules).map(([name, rule]) => {
      const value = given[name] ?? ('default' in rule ? rule.default : undefined);
      if (!satisfies(rule, value)) {
        const came = value === undefined ? 'missing' : JSON.stringify(value);
        throw new OptionError(name, `${name} is ${came}; expected ${wanted(rule)}`);
      }
      return [name, value];
    }),
  );
}

export function isCount(value: unknown, most: number): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= most;
}

function satisfies(rule: OptionRule, value: unknown): value is OptionValue {
  const inRange = (n: unknown, { minimum, maximum }: { minimum: number; maximum: number }) =>
    Number.isInteger(n) && (n as number) >= minimum && (n as number) <= maximum;
  switch (rule.kind) {
    case 'boolean':
      return typeof value === 'boolean';
    case 'integer':
      return inRange(value, rule);
    case 'number':
      return typeof value === 'number' && value >= rule.minimum && value < rule.below;
    case 'choice':
      return typeof value === 'string' && rule.choices.includes(value);
    case 'pair':
      return Array.isArray(value)
        ? value.length === 2 && value.every((n) => inRange(n, rule))
        : inRange(value, rule);
    case 'shape':
      return Array.isArray(value) && value.length > 0 && value.every((n) => isCount(n, MAX_EXTENT));
  }
}

/** What a value must be, in words. */
export function wanted(rule: OptionRule): string {
  switch (rule.kind) {
    case 'boolean':
      return 'true or false';
    case 'integer':
      return `an integer from ${rule.minimum} to ${rule.maximum}`;
    case 'number':
      return `a number from ${rule.minimum} to less than ${rule.below}`;
    case 'choice':
      return rule.choices.join(' or ');
    case 'pair':
      return `an integer from ${rule.minimum} to ${rule.maximum}, or two: [rows, columns]`;
    case 'shape':
      return `a list of integers from 1 to ${MAX_EXTENT}`;
  }
}
