/** Which fields of a source are input and target, and what they are: said, or plain from their names and types. What is doubtful is refused. */
import { suggest } from '@kasane/tensor/internal/nn/nearest';
import { DataError } from '../dataset.ts';
import { listed } from '../tables/listed.ts';
import { isNumbers, type Numbers } from './numbers.ts';
import type { InputType, SampleOptions } from './pack-options.ts';
import type { RecordValue } from './record-file.ts';
import type { SampleSource, SourceField } from './sample-source.ts';

export interface Chosen {
  readonly input: SourceField;
  /** Undefined of next-token: the input tells. */
  readonly target: SourceField | undefined;
  readonly notes: readonly string[];
}

/** Names that say that a field is what is predicted. */
const TARGET_NAME = /^(label|labels|target|targets|class|classes|category|y|cls|fine_label)$/i;

/** @throws DataError naming the fields that there are */
export function chooseFields(source: SampleSource, options: SampleOptions): Chosen {
  const { place, fields } = source;
  const notes: string[] = [];
  const named = (name: string, option: string): SourceField => {
    const found = fields.find((field) => field.name === name);
    if (found) return found;
    // A key of what is in json files may be missing from the first sample.
    if (name.startsWith('json.') && fields.some((field) => field.name.startsWith('json')))
      return { name, kind: 'value', numbers: 'unknown' };
    const names = fields.map((field) => field.name);
    throw new DataError(`${place}: there is no '${name}' for ${option}${suggest(name, names)}`);
  };
  const saidTarget = source.target === 'target' ? 'target' : options.target;
  let input = options.input === undefined ? undefined : named(options.input, 'input');
  let target = saidTarget === undefined ? undefined : named(saidTarget, 'target');
  if (!input && source.input !== undefined) input = named(source.input, 'input');
  if (!input) {
    const rest = fields.filter(
      (field) => field !== target && !(target === undefined && TARGET_NAME.test(field.name)),
    );
    const images = rest.filter(({ kind }) => kind === 'image');
    const likely = images.length > 0 ? images : rest.filter(({ kind }) => kind === 'array');
    if (likely.length !== 1)
      throw new DataError(
        `${place}: which of its fields is the input? Set it with --set input=NAME; there are: ${listed(fields.map(({ name }) => name))}`,
      );
    [input] = likely as [SourceField];
    notes.push(`${place}: '${input.name}' is the input (--set input=NAME)`);
  }
  if (options.task === 'next-token') {
    if (options.target !== undefined)
      throw new DataError(`${place}: task next-token predicts the tokens of the input; leave out target`);
    return { input, target: undefined, notes };
  }
  if (!target) {
    const rest = fields.filter((field) => field !== input);
    const byName =
      source.target === undefined
        ? rest.filter(({ name }) => TARGET_NAME.test(name))
        : [named(source.target, 'target')];
    const likely = byName.length > 0 ? byName : rest.filter(({ kind }) => kind === 'value');
    if (likely.length !== 1)
      throw new DataError(
        `${place}: which of its fields is the target? Set it with --set target=NAME${rest.length > 0 ? `; there are: ${listed(rest.map(({ name }) => name))}` : ''}`,
      );
    [target] = likely as [SourceField];
    notes.push(`${place}: '${target.name}' is the target (--set target=NAME)`);
  }
  if (target.name === input.name) throw new DataError(`${place}: '${input.name}' is both input and target`);
  return { input, target, notes };
}

/** What the values of the input are. @param first one of them @throws DataError where that would be a guess */
export function inputTypeOf(
  place: string,
  { name, numbers }: SourceField,
  first: RecordValue | Numbers,
  { inputType, task }: SampleOptions,
): InputType {
  if (inputType !== undefined) return inputType;
  if (first instanceof Uint8Array) return 'image';
  if (typeof first === 'string')
    throw new DataError(
      `${place}: '${name}' holds texts. Of a table with a text and a class per row, make texts to classify with --set format=text`,
    );
  if (task === 'tokens' || task === 'next-token') return 'tokens';
  const kind = isNumbers(first) ? first.kind : numbers;
  if (kind === 'bytes') return 'pixels';
  if (kind === 'decimal' || (kind === 'unknown' && hasDecimals(first))) return 'numbers';
  throw new DataError(
    `${place}: '${name}' holds whole numbers, which may be amounts or tokens. Set --set inputType=numbers, or tokens (or pixels, for 0 to 255)`,
  );
}

const hasDecimals = (value: RecordValue | Numbers): boolean =>
  typeof value === 'number'
    ? !Number.isInteger(value)
    : isNumbers(value)
      ? Array.from(value.data).some((number) => !Number.isInteger(number))
      : Array.isArray(value) && value.some(hasDecimals);
