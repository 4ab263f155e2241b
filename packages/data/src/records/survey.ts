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
/** That a message names: with more of them nobody reads on. */
const MOST_PROBLEMS = 5;

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
  const seen = new Targets(source.place, field, options);
  for await (const { place, values } of source.samples([field.name])) {
    seen.see(values[0], place);
    if (seen.isHopeless) break;
  }
  return seen.survey();
}

/** What the targets of a part are, as they are seen one after the other. */
class Targets {
  readonly #place: string;
  readonly #field: SourceField;
  readonly #options: SampleOptions;
  readonly #areTokens: boolean;
  readonly #ids = new Map<string, number>();
  readonly #problems: string[] = [];
  readonly #notes: string[] = [];
  #labels = new Int32Array(1024);
  #samples = 0;
  #largest = -1;
  /** The first label, the first number with decimals, and the first that is no number. */
  #first: string | undefined;
  #decimal: string | undefined;
  #word: string | undefined;
  #shape: readonly number[] | undefined;

  constructor(place: string, field: SourceField, options: SampleOptions) {
    this.#place = place;
    this.#field = field;
    this.#options = options;
    this.#areTokens = options.task === 'tokens' || options.task === 'next-token';
  }

  /** Whether there are more problems than a message names. */
  get isHopeless(): boolean {
    return this.#options.onDamaged === 'fail' && this.#problems.length > MOST_PROBLEMS;
  }

  see(value: RecordValue | Numbers, place: string): void {
    if (this.#samples === MOST_SAMPLES)
      throw new DataError(`${this.#place}: more than ${MOST_SAMPLES} samples, which is the maximum`);
    if (this.#samples === this.#labels.length) {
      const more = new Int32Array(2 * this.#samples);
      more.set(this.#labels);
      this.#labels = more;
    }
    const isList = Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof Uint8Array));
    const isArray = isList || (isNumbers(value) && value.data.length > 1);
    this.#labels[this.#samples++] =
      this.#areTokens || isArray ? this.#seeNumbers(value, place) : this.#seeLabel(value, place);
  }

  #seeNumbers(value: RecordValue | Numbers, place: string): number {
    const numbers = numbersOf(value, 'unknown');
    if (typeof numbers === 'string') {
      this.#problems.push(`${place}: ${this.#field.name}: ${numbers}`);
      return -1;
    }
    this.#shape ??= numbers.shape;
    if (this.#areTokens)
      for (let i = 0; i < numbers.data.length; i++) this.#largest = Math.max(this.#largest, numbers.data[i]!);
    return 0;
  }

  #seeLabel(value: RecordValue | Numbers, place: string): number {
    const label = labelOf(value, this.#field);
    if (label === undefined) {
      const held = value instanceof Uint8Array ? ' (it holds bytes)' : '';
      this.#problems.push(`${place}: the target ${this.#field.name} is missing${held}`);
      return -1;
    }
    if (!this.#ids.has(label) && this.#ids.size < MOST_CLASSES) this.#ids.set(label, this.#ids.size);
    this.#first ??= label;
    if (!/^[+-]?\d+$/.test(label)) {
      if (Number.isFinite(Number(label)) && label.trim() !== '') this.#decimal ??= label;
      else this.#word ??= label;
    }
    return this.#ids.get(label) ?? 0;
  }

  survey(): Survey {
    const problems = this.#problems;
    if (problems.length > 0 && this.#options.onDamaged === 'fail')
      throw new DataError(`${listOf(problems)}. Fix them, or set --set onDamaged=skip`);
    if (this.#samples === problems.length)
      throw new DataError(
        `${this.#place}: no samples with a target are left${problems[0] ? ` (${problems[0]})` : ''}`,
      );
    if (problems.length > 0)
      this.#notes.push(`skipped ${problems.length} of ${this.#samples} samples: ${listOf(problems)}`);
    const task = this.#options.task ?? this.#guess();
    this.#check(task);
    return {
      samples: this.#samples,
      task,
      classes: task === 'classification' ? sortedNames([...this.#ids.keys()], this.#field) : [],
      met: [...this.#ids.keys()],
      labels: this.#labels.subarray(0, this.#samples),
      tokens: this.#largest + 1,
      shape: this.#shape ?? [],
      notes: this.#notes,
    };
  }

  #check(task: Task): void {
    const refuse = (why: string) => new DataError(`${this.#place}: ${why}`);
    const { name } = this.#field;
    if (task === 'regression' && this.#word !== undefined)
      throw refuse(`'${name}' has '${this.#word.slice(0, 40)}', which is not a number`);
    if (task !== 'classification') return;
    if (this.#shape)
      throw refuse(`'${name}' holds lists of numbers, which are no classes. Set --set task=regression`);
    if (this.#ids.size >= MOST_CLASSES)
      throw refuse(`'${name}' has more than ${MOST_CLASSES} classes, which is the maximum`);
    if (this.#ids.size < 2)
      throw refuse(`'${this.#first}' is the only class in '${name}'; expected at least two`);
  }

  /** @throws DataError where numbers may be amounts or classes */
  #guess(): Task {
    const cure =
      'Set --set task=regression to predict the number, or task=classification to use each value as a class';
    const what = `${this.#place}: '${this.#field.name}'`;
    const { size } = this.#ids;
    if (this.#shape) {
      this.#notes.push(`${what} holds lists of numbers to predict (--set task=tokens if they are tokens)`);
      return 'regression';
    }
    if (this.#word !== undefined || this.#field.classes) return 'classification';
    if (this.#decimal !== undefined)
      throw new DataError(`${what} holds numbers with decimals, such as ${this.#decimal}. ${cure}`);
    if (size > MOST_NUMBERS && 2 * size > this.#samples)
      throw new DataError(`${what} has ${size} different numbers in ${this.#samples} samples. ${cure}`);
    this.#notes.push(`${what} holds ${size} classes (--set task=regression to predict the number)`);
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
