/** Packs arrays, images and lists of files sample by sample: each file is read as a stream, and nothing of it stays in memory. */
import { counted } from '@kasane/tensor/internal/counted';
import { DataError } from '../dataset.ts';
import { decodeImageBytes, type ImageForm } from '../images/image-decode.ts';
import { listOf } from '../problems.ts';
import { chooseFields, inputTypeOf } from '../records/choose-fields.ts';
import { isNumbers, type Numbers, numbersOf } from '../records/numbers.ts';
import { openSamples } from '../records/open-samples.ts';
import type { InputType, SampleOptions } from '../records/pack-options.ts';
import type { RecordValue } from '../records/record-file.ts';
import type { SampleSource, SourceField, SourceSample } from '../records/sample-source.ts';
import { divideSamples, labelOf, type Survey, survey } from '../records/survey.ts';
import type { PackedDataset, Sample, SampleFields } from './pack-dataset.ts';
import { packInto } from './pack-into.ts';

/** Images that are decoded at once. */
const AHEAD = 4;
/** Whole numbers up to it are float32 numbers, all of them. */
const EXACT = 2 ** 24;
const GREY = { mean: 0.449, std: 0.226 };
const COLOURS = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

export interface PackedSamples extends PackedDataset {
  readonly notes: readonly string[];
}

/** @param onProgress called after each chunk with the samples packed so far. @throws DataError naming file and sample */
export async function packSamples(
  options: SampleOptions,
  folder: string,
  onProgress?: (samples: number) => void,
): Promise<PackedSamples> {
  const { train, test, notes: found } = await openSamples(options, options.onDamaged);
  const { input, target, notes: chosen } = chooseFields(train, options);
  const notes = [...found, ...chosen];
  const about = await survey(train, target ?? input, options);
  notes.push(...about.notes);
  const packing = await Packing.of(train, input, target, about, options, notes);
  let parts: Uint8Array | undefined;
  if (!test) {
    parts = divideSamples(about, options, notes);
    notes.push(
      `${train.place}: ${Math.round(100 * options.validation)} % of the samples are held out for testing (--set validation=0.1, or --set test=FILE)`,
    );
  }
  const each = {
    train: packing.samples(train, (index) => (parts ? parts[index] === 1 : about.labels[index]! >= 0)),
    test: packing.samples(test ?? train, (index) => (parts ? parts[index] === 2 : true)),
  };
  const packed = await packInto(folder, packing.fields, each, packing.preparation, {
    ...(onProgress && { onProgress }),
  });
  const unread = [train, test].flatMap((source) => source?.skipped?.() ?? []);
  if (unread.length > 0) notes.push(`skipped ${counted(unread.length, 'line')}: ${listOf(unread)}`);
  return { ...packed, notes: [...notes, ...packing.left()] };
}

/** How samples of a source become numbers. */
class Packing {
  readonly fields: SampleFields;
  readonly preparation: object | undefined;
  readonly #input: SourceField;
  readonly #target: SourceField | undefined;
  readonly #type: InputType;
  readonly #form: ImageForm;
  readonly #about: Survey;
  readonly #options: SampleOptions;
  readonly #notes: string[];
  readonly #problems: string[] = [];
  #rounded = false;

  static async of(
    source: SampleSource,
    input: SourceField,
    target: SourceField | undefined,
    about: Survey,
    options: SampleOptions,
    notes: string[],
  ): Promise<Packing> {
    for await (const { values, place } of source.samples([input.name])) {
      const [first] = values;
      if (first === null || first === undefined) continue;
      const type = inputTypeOf(source.place, input, first, options);
      return new Packing(input, target, type, { first, place }, about, options, notes);
    }
    throw new DataError(`${source.place}: '${input.name}' is missing in all samples`);
  }

  private constructor(
    input: SourceField,
    target: SourceField | undefined,
    type: InputType,
    { first, place }: { readonly first: RecordValue | Numbers; readonly place: string },
    about: Survey,
    options: SampleOptions,
    notes: string[],
  ) {
    this.#input = input;
    this.#target = target;
    this.#type = type;
    this.#about = about;
    this.#options = options;
    this.#notes = notes;
    const [height, width] = options.size;
    const { channels, fit, background } = options;
    this.#form = { height, width, channels, fit, ...(background && { background }) };
    const shape = type === 'image' ? [height, width, channels] : this.#shapeOf(first, place);
    if (type === 'image')
      notes.push(`${input.name}: images of ${shape.join(' x ')} (--set size=N, channels=1)`);
    const scale = this.#scale();
    this.fields = {
      input: { dtype: type === 'tokens' ? 'i32' : type === 'numbers' ? 'f32' : 'u8', shape },
      target: this.#targetFields(shape),
      ...scale,
    };
    this.preparation = type === 'image' ? { image: this.#form, shape: undefined } : undefined;
  }

  #scale(): Pick<SampleFields, 'mean' | 'std'> {
    const { mean, std, channels } = this.#options;
    if (this.#type !== 'image' && this.#type !== 'pixels') {
      if (mean !== undefined || std !== undefined)
        throw new DataError(
          `mean and std apply to pixels and images; '${this.#input.name}' holds ${this.#type}`,
        );
      return {};
    }
    const defaults = this.#type === 'pixels' ? { mean: 0, std: 1 } : channels === 1 ? GREY : COLOURS;
    return { mean: mean ?? defaults.mean, std: std ?? defaults.std };
  }

  #shapeOf(first: RecordValue | Numbers, place: string): readonly number[] {
    const { name, numbers = 'unknown' } = this.#input;
    const found = numbersOf(first, numbers);
    if (typeof found === 'string') throw new DataError(`${place}: ${name}: ${found}`);
    const { shape } = found;
    const { context } = this.#options;
    if (this.#type === 'tokens') {
      const length = context ?? (shape[0] ?? 1) - (this.#target ? 0 : 1);
      if (shape.length > 1 || length < 1) throw new DataError(`${place}: ${name}: expected a list of tokens`);
      this.#notes.push(
        `${name}: ${counted(length, 'token')} per sample (--set context=N; shorter lists are filled up, longer ones cut)`,
      );
      return [length];
    }
    const [a, , c] = shape;
    if (this.#type === 'pixels' && shape.length === 3 && (a === 1 || a === 3) && c !== 1 && c !== 3)
      throw new DataError(
        `${place}: ${name}: its shape is ${shape.join(' x ')}, with the channels first. Put them last: numpy.transpose(x, (0, 2, 3, 1)); or read them as they are with --set inputType=numbers`,
      );
    return shape.length === 0 ? [1] : shape;
  }

  #targetFields(input: readonly number[]): SampleFields['target'] {
    const { task, classes, shape, tokens } = this.#about;
    if (task === 'classification') return { classes };
    if (task === 'regression') return { shape: shape.length === 0 ? [1] : shape };
    return { tokens: Math.max(2, tokens), shape: input.slice(0, 1) };
  }

  /** What was left out, and what float32 does not hold. */
  left(): readonly string[] {
    const problems = this.#problems;
    return problems.length > 0 ? [`skipped ${counted(problems.length, 'sample')}: ${listOf(problems)}`] : [];
  }

  async *samples(source: SampleSource, isOwn: (index: number) => boolean): AsyncGenerator<Sample> {
    const names = [this.#input.name, ...(this.#target ? [this.#target.name] : [])];
    const waiting: Promise<Sample | undefined>[] = [];
    let index = 0;
    try {
      for await (const sample of source.samples(names)) {
        if (!isOwn(index++)) continue;
        const made = this.#sample(sample);
        // It is asked for later; until then nobody else hears of it.
        made.catch(() => undefined);
        waiting.push(made);
        if (waiting.length < AHEAD) continue;
        const ready = await waiting.shift();
        if (ready) yield ready;
      }
      for (const made of waiting.splice(0)) {
        const ready = await made;
        if (ready) yield ready;
      }
    } finally {
      await Promise.allSettled(waiting);
    }
  }

  async #sample(sample: SourceSample): Promise<Sample | undefined> {
    try {
      const [input, target] = sample.values;
      return {
        input: await this.#inputOf(input, sample.place),
        target: this.#targetOf(target ?? input, sample.place),
      };
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      if (this.#options.onDamaged === 'fail')
        throw new DataError(`${error.message}. Fix it, or set --set onDamaged=skip`, { cause: error });
      this.#problems.push(error.message);
      return undefined;
    }
  }

  async #inputOf(value: RecordValue | Numbers, place: string): Promise<ArrayLike<number>> {
    const { name, numbers = 'unknown' } = this.#input;
    const refuse = (why: string) => new DataError(`${place}: ${name}: ${why}`);
    if (value === null || value === undefined) throw refuse('it is missing');
    if (this.#type === 'image') {
      if (!(value instanceof Uint8Array)) throw refuse('it is not the bytes of an image');
      return (
        await decodeImageBytes(
          Buffer.from(value.buffer, value.byteOffset, value.byteLength),
          this.#form,
          `${place}: ${name}`,
        )
      ).pixels;
    }
    const found = numbersOf(value, numbers);
    if (typeof found === 'string') throw refuse(found);
    const { shape } = this.fields.input;
    if (this.#type === 'tokens') return this.#tokens(found, refuse, 0, 0);
    if (found.data.length !== shape.reduce((product, extent) => product * extent, 1))
      throw refuse(
        `its shape is ${found.shape.join(' x ') || 'a single number'}; that of the first sample is ${shape.join(' x ')}`,
      );
    this.#check(found.data, refuse);
    return found.data;
  }

  /**
   * @param from where they begin in the list
   * @param fill what stands where there is none; as a target, -1 does not count
   */
  #tokens(
    { data }: Numbers,
    refuse: (why: string) => DataError,
    from: number,
    fill: 0 | -1,
  ): ArrayLike<number> {
    const [length] = this.fields.input.shape as readonly [number];
    const out = new Int32Array(length).fill(fill);
    for (let i = 0; i < Math.min(length, data.length - from); i++) {
      const token = data[i + from]!;
      if (!Number.isInteger(token) || token < fill || token >= 2 ** 31)
        throw refuse(`it has ${token}, which is no token`);
      out[i] = token;
    }
    if (data.length !== length + (this.#target ? 0 : 1) && this.#options.context === undefined)
      throw refuse(
        `it has ${counted(data.length, 'token')}, and the first sample ${length + (this.#target ? 0 : 1)}. Set --set context=N to fill up and cut lists`,
      );
    return out;
  }

  #check(data: ArrayLike<number>, refuse: (why: string) => DataError): void {
    const isPixel = this.#type === 'pixels';
    for (let i = 0; i < data.length; i++) {
      const number = data[i]!;
      if (
        isPixel
          ? !(Number.isInteger(number) && number >= 0 && number <= 255)
          : !Number.isFinite(Math.fround(number))
      )
        throw refuse(
          `it has ${number} at ${i}; expected ${isPixel ? 'whole numbers from 0 to 255' : 'finite float32 numbers'}`,
        );
      if (
        !isPixel &&
        !this.#rounded &&
        Math.abs(number) > EXACT &&
        Math.fround(number) !== number &&
        Number.isInteger(number)
      ) {
        this.#rounded = true;
        this.#notes.push(`${this.#input.name}: whole numbers such as ${number} are rounded to float32`);
      }
    }
  }

  #targetOf(value: RecordValue | Numbers, place: string): number | string | ArrayLike<number> {
    const field = this.#target ?? this.#input;
    const refuse = (why: string) => new DataError(`${place}: ${field.name}: ${why}`);
    const { task, classes } = this.#about;
    if (task === 'classification') {
      const label = labelOf(value, field);
      if (label === undefined) throw refuse('the target is missing');
      if (!classes.includes(label))
        throw refuse(`the class '${label.slice(0, 40)}' is not in the training part`);
      return label;
    }
    const found = numbersOf(typeof value === 'string' ? Number(value) : value, 'unknown');
    if (typeof found === 'string') throw refuse(found);
    if (task === 'next-token') return this.#tokens(found, refuse, 1, -1);
    if (task === 'tokens') return this.#tokens(found, refuse, 0, -1);
    const bad = Array.from(found.data).find((number) => !Number.isFinite(Math.fround(number)));
    if (bad !== undefined) throw refuse(`it has ${bad}; expected finite float32 numbers`);
    if (isNumbers(value) || found.shape.length > 0) {
      const { shape } = this.fields.target as { readonly shape: readonly number[] };
      if (found.data.length !== shape.reduce((product, extent) => product * extent, 1))
        throw refuse(
          `its shape is ${found.shape.join(' x ') || 'a single number'}; that of the first sample is ${shape.join(' x ')}`,
        );
    }
    return found.data;
  }
}
