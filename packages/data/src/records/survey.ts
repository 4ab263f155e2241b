/** A first look at all samples of a part: how many there are, and what their targets are. */
import { DataError } from '../dataset.ts';
import { listOf } from '../problems.ts';
import { splitAtRandom } from '../shuffle.ts';
import { few } from '../tables/listed.ts';
import { isNumbers, type Numbers, numbersOf } from './numbers.ts';
import type { SampleOptions, Task } from './pack-options.ts';
import type { RecordValue } from './record-file.ts';
import type { SampleSource, SourceField } from './sample-source.ts';

export interface Survey {
  readonly samples: number;
  readonly task: Task;
  /** Of a classification, in their order. */
  readonly classes: readonly string[];
  /** The same as they were first met. */
  readonly met: readonly string[];
  /** Of each sample the number of its class as it was first met, -1 of one that cannot be used. */
  readonly labels: Int32Array;
  /** One more than the largest token. */
  readonly tokens: number;
  /** Of targets that are arrays. */
  readonly shape: readonly number[];
  readonly notes: readonly string[];
}

/** Different labels, and different numbers that are taken for classes whatever they are. */
const MOST_CLASSES = 65_536;
const MOST_NUMBERS = 20;
const MOST_SAMPLES = 2 ** 28;

/** The name of a class; undefined where there is none. */
export function labelOf(value: RecordValue | Numbers, { classes }: SourceField): string | undefined {
  const one = isNumbers(value) && value.data.length === 1 ? value.data[0] : value;
  if (one === null || one === undefined || one === '' || Number.isNaN(one)) return undefined;
  if (classes) return typeof one === 'number' || typeof one === 'bigint' ? classes[Number(one)] : undefined;
  return typeof one === 'object' ? undefined : String(one).normalize('NFC');
}

/** @throws DataError where samples have no target, or it is doubtful what it is */
export async function survey(
  source: SampleSource,
  field: SourceField,
  options: SampleOptions,
): Promise<Survey> {
  const { place } = source;
  const { task: said, onDamaged } = options;
  const areTokens = said === 'tokens' || said === 'next-token';
  const ids = new Map<string, number>();
  const problems: string[] = [];
  let labels = new Int32Array(1024);
  let [samples, largest] = [0, -1];
  let [decimal, word, text]: (string | undefined)[] = [];
  let shape: readonly number[] | undefined;
  for await (const { place: at, values } of source.samples([field.name])) {
    if (samples === MOST_SAMPLES)
      throw new DataError(`${place}: more than ${MOST_SAMPLES} samples, which is the maximum`);
    if (samples === labels.length) {
      const more = new Int32Array(2 * samples);
      more.set(labels);
      labels = more;
    }
    const [value] = values;
    const isArray =
      Array.isArray(value) || ArrayBuffer.isView(value) || (isNumbers(value) && value.data.length > 1);
    let id = 0;
    if (areTokens || (isArray && !(value instanceof Uint8Array))) {
      const numbers = numbersOf(value, 'unknown');
      if (typeof numbers === 'string') problems.push(`${at}: ${field.name}: ${numbers}`);
      else {
        shape ??= numbers.shape;
        if (areTokens)
          for (let i = 0; i < numbers.data.length; i++) largest = Math.max(largest, numbers.data[i]!);
      }
      id = typeof numbers === 'string' ? -1 : 0;
    } else {
      const label = labelOf(value, field);
      if (label === undefined)
        problems.push(
          `${at}: the target ${field.name} is missing${value instanceof Uint8Array ? ' (it holds bytes)' : ''}`,
        );
      else if (!ids.has(label) && ids.size < MOST_CLASSES) ids.set(label, ids.size);
      id = label === undefined ? -1 : (ids.get(label) ?? 0);
      text ??= label;
      if (label !== undefined && !/^[+-]?\d+$/.test(label)) {
        if (Number.isFinite(Number(label)) && label.trim() !== '') decimal ??= label;
        else word ??= label;
      }
    }
    labels[samples++] = id;
    if (problems.length > 0 && onDamaged === 'fail' && problems.length > 4) break;
  }
  if (problems.length > 0 && onDamaged === 'fail')
    throw new DataError(`${listOf(problems)}. Fix them, or set --set onDamaged=skip`);
  if (samples === problems.length)
    throw new DataError(
      `${place}: no samples with a target are left${problems[0] ? ` (${problems[0]})` : ''}`,
    );
  const notes =
    problems.length > 0 ? [`skipped ${problems.length} of ${samples} samples: ${listOf(problems)}`] : [];
  const task = said ?? taskOf();
  if (task === 'classification') {
    if (shape)
      throw new DataError(
        `${place}: '${field.name}' holds lists of numbers, which are no classes. Set --set task=regression`,
      );
    if (ids.size >= MOST_CLASSES)
      throw new DataError(
        `${place}: '${field.name}' has more than ${MOST_CLASSES} classes, which is the maximum`,
      );
    if (ids.size < 2)
      throw new DataError(`${place}: '${text}' is the only class in '${field.name}'; expected at least two`);
  }
  if (task === 'regression' && word !== undefined)
    throw new DataError(`${place}: '${field.name}' has '${word.slice(0, 40)}', which is not a number`);
  const names = task === 'classification' ? sortedNames([...ids.keys()], field) : [];
  return {
    samples,
    task,
    classes: names,
    met: [...ids.keys()],
    labels: labels.subarray(0, samples),
    tokens: largest + 1,
    shape: shape ?? [],
    notes,
  };

  function taskOf(): Task {
    const cure =
      'Set --set task=regression to predict the number, or task=classification to use each value as a class';
    if (shape) {
      notes.push(
        `${place}: '${field.name}' holds lists of numbers to predict (--set task=tokens if they are tokens)`,
      );
      return 'regression';
    }
    if (word !== undefined || field.classes) return 'classification';
    if (decimal !== undefined)
      throw new DataError(
        `${place}: '${field.name}' holds numbers with decimals, such as ${decimal}. ${cure}`,
      );
    if (ids.size > MOST_NUMBERS && 2 * ids.size > samples)
      throw new DataError(
        `${place}: '${field.name}' has ${ids.size} different numbers in ${samples} samples. ${cure}`,
      );
    notes.push(
      `${place}: '${field.name}' holds ${ids.size} classes (--set task=regression to predict the number)`,
    );
    return 'classification';
  }
}

/** Numbers by their value, others by their name; of names that the file says all, in its order. */
function sortedNames(names: readonly string[], { classes }: SourceField): readonly string[] {
  if (classes) return classes.map((name) => name.normalize('NFC'));
  const areNumbers = names.every((name) => /^[+-]?\d{1,15}$/.test(name));
  return [...names].sort((a, b) => (areNumbers ? Number(a) - Number(b) : a < b ? -1 : a > b ? 1 : 0));
}

/** For each sample whether it is trained on (1), tested on (2), or neither (0). */
export function divideSamples(
  { samples, labels, met, task }: Survey,
  { validation, seed }: SampleOptions,
  notes: string[],
): Uint8Array {
  const parts = new Uint8Array(samples).fill(1);
  for (const index of splitAtRandom(samples, validation, seed).test) parts[index] = 2;
  for (let i = 0; i < samples; i++) if (labels[i]! < 0) parts[i] = 0;
  if (task !== 'classification') return parts;
  const trained = new Set<number>();
  for (let i = 0; i < samples; i++) if (parts[i] === 1) trained.add(labels[i]!);
  const rare = new Set<number>();
  for (let i = 0; i < samples; i++) {
    if (parts[i] !== 2 || trained.has(labels[i]!)) continue;
    parts[i] = 1;
    rare.add(labels[i]!);
  }
  if (rare.size > 0)
    notes.push(
      `classes ${few([...rare].map((id) => met[id]!).sort())}: too few samples to split, so all are used for training and none for testing`,
    );
  return parts;
}
