/** The forms of arguments: what a reason or an event has besides its code. Their types follow from these, and so does the check of what arrives. */

/** What an argument is: a number, one that may be not finite (`measured`), a text, one of some names, a list (`[form]`), or several of these by name. */
export type Form =
  | 'number'
  | 'measured'
  | 'text'
  | ReadonlySet<string>
  | readonly [Form]
  | { readonly [name: string]: Form };
export type ValueOf<F> = F extends 'number'
  ? number
  : F extends 'measured'
    ? number | null
    : F extends 'text'
      ? string
      : F extends ReadonlySet<infer Name>
        ? Name
        : F extends readonly [infer Each]
          ? readonly ValueOf<Each>[]
          : { readonly [Name in keyof F]: ValueOf<F[Name]> };

/** Whether a value that came over a wire has the form. */
export function fits(value: unknown, form: Form): boolean {
  if (form === 'number') return typeof value === 'number';
  // JSON has no other numbers.
  if (form === 'measured') return typeof value === 'number' || value === null;
  if (form === 'text') return typeof value === 'string';
  if (isNames(form)) return typeof value === 'string' && form.has(value);
  if (isList(form)) return Array.isArray(value) && value.every((each) => fits(each, form[0]));
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(form).every(([name, each]) => fits((value as Record<string, unknown>)[name], each));
}

const isNames = (form: Form): form is ReadonlySet<string> => form instanceof Set;
const isList = (form: Form): form is readonly [Form] => Array.isArray(form);

/** Arguments that came over a wire; none where they are no object. */
export function readArgs(json: string): Readonly<Record<string, unknown>> {
  try {
    const args: unknown = JSON.parse(json);
    if (typeof args === 'object' && args !== null) return args as Readonly<Record<string, unknown>>;
  } catch {
    // A coordinator of another version may write them in another way.
  }
  return {};
}
