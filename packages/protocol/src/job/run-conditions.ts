/** Conditions on the columns of runs, and their order: of `kasane runs`, and of the dashboard, which loads this file in the browser. */

export interface Condition {
  readonly column: string;
  readonly meets: (value: unknown) => boolean;
}

/** What is wrong with a condition: it is none, or nothing, or no number, stands behind its operator. */
export type ConditionFault = 'form' | 'value' | 'number';
/** The error for a condition. @param operator empty for 'form' */
export type RefuseCondition = (fault: ConditionFault, text: string, operator: string) => Error;

const FORM = /^\s*([^\s=<>!~]+)\s*(>=|<=|!=|==|=|>|<|~)\s*(.*?)\s*$/su;

/** @throws what `refuse` makes, also when a value is compared with what is no number */
export function parseCondition(text: string, refuse: RefuseCondition): Condition {
  const [, column, operator, wanted] = FORM.exec(text) ?? [];
  if (column === undefined || operator === undefined || wanted === undefined) throw refuse('form', text, '');
  return { column, meets: meaning(operator, wanted, (fault) => refuse(fault, text, operator)) };
}

function meaning(
  operator: string,
  wanted: string,
  refuse: (fault: ConditionFault) => Error,
): (value: unknown) => boolean {
  const isEqual = (value: unknown): boolean => {
    if (wanted === '') return value === null;
    if (Array.isArray(value)) return value.some(isEqual);
    return typeof value === 'number' ? value === numberIn(wanted) : textOf(value) === wanted;
  };
  if (operator === '=' || operator === '==') return isEqual;
  if (operator === '!=') return (value) => !isEqual(value);
  if (wanted === '') throw refuse('value');
  if (operator === '~') return (value) => value !== null && textOf(value).includes(wanted);
  return (value) => {
    if (value === null) return false;
    const number = numberIn(wanted);
    if (typeof value === 'number' && number === undefined) throw refuse('number');
    const order = typeof value === 'number' ? value - number! : textOf(value) < wanted ? -1 : 1;
    const isSame = typeof value === 'number' ? order === 0 : textOf(value) === wanted;
    if (isSame) return operator.endsWith('=');
    return operator.startsWith('<') ? order < 0 : order > 0;
  };
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** 0.98, 1e-3; 98% is 0.98, as tables show fractions. */
function numberIn(text: string): number | undefined {
  const [, percent] = /^(.*\d)\s*%$/.exec(text) ?? [];
  const value = percent === undefined ? Number(text) : Number(percent) / 100;
  return Number.isFinite(value) ? value : undefined;
}

/** One for all comparisons: making one takes longer than using it. */
const byName = new Intl.Collator('en', { numeric: true });

/** Numbers, then text; what has no value comes last in both directions. @param sign 1: the smallest first, -1: the largest */
export function inOrder(a: unknown, b: unknown, sign: 1 | -1): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  if (typeof a === 'number' && typeof b === 'number') return sign * (a - b);
  if (typeof a === 'number' || typeof b === 'number') return typeof a === 'number' ? -1 : 1;
  return sign * byName.compare(textOf(a), textOf(b));
}
