/** Arguments of reasons and events for tests: anything that has their forms. */
import type { Form } from '@kasane/protocol/internal/events/forms';
import fc from 'fast-check';

/** Texts of an argument: names and numbers, which no sentence has of itself. */
const text = fc.stringMatching(/^[0-9]{6,9}$/);
const number = fc.integer({ min: 100_000, max: 999_999 });
/** What is rounded where it is told: one number, or none that is finite. */
const measured = fc.constantFrom(null, 0.25);

/** Anything that has the form. */
export function arbitraryOf(form: Form): fc.Arbitrary<unknown> {
  if (form === 'number') return number;
  if (form === 'measured') return measured;
  if (form === 'text') return text;
  if (form instanceof Set) return fc.constantFrom(...form);
  if (Array.isArray(form)) return fc.array(arbitraryOf(form[0]), { minLength: 1, maxLength: 3 });
  return fc.record(Object.fromEntries(Object.entries(form).map(([name, each]) => [name, arbitraryOf(each)])));
}

/** Numbers and texts anywhere in a value; names of a set have words of their own in each language. */
export function leaves(value: unknown, form: Form): string[] {
  if (form === 'number' || form === 'text') return [String(value)];
  if (form === 'measured') return [value === null ? 'NaN' : '25'];
  if (form instanceof Set) return [];
  if (Array.isArray(form)) return (value as unknown[]).flatMap((each) => leaves(each, form[0]));
  return Object.entries(form).flatMap(([name, each]) =>
    leaves((value as Record<string, unknown>)[name], each),
  );
}

/** Words of English in a Japanese sentence: names and numbers stay, and so does what is typed. */
export const englishIn = (said: string) =>
  said.replace(/`[^`]*`|\b(Redis|Kasane|MLflow|NaN)\b/g, '').match(/[a-z]{2,}/gi) ?? [];
