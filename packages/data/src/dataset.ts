/** What every format is opened to. Reading a format belongs to the file beside this one that is named after it. */
import { type Field, fieldBytes } from '@kasane/tensor/internal/field';
import type { ImageForm } from './images/image-decode.ts';
import type { ColumnEncoding, NumberEncoding } from './tables/table.ts';
import type { TableForm } from './tables/table-form.ts';
import type { TargetRange } from './target-range.ts';
import type { TokenizerSpec } from './text/tokenizer.ts';

export type { Field, FieldType } from '@kasane/tensor/internal/field';

/** Samples, each an input and a target, read by index. */
export interface Dataset {
  readonly samples: number;
  readonly input: Field;
  /** Class numbers and tokens are u8 or i32 (-1: this one does not count), everything else is f32. */
  readonly target: Field;
  /** One more than the largest class number, where the target is one; of tokens the size of the vocabulary. */
  readonly classes?: number;
  /** Samples of each class, where a sample has one and counting them takes no reading. */
  readonly counts?: readonly number[];
  /** Of numbers that are to be told: what the objective may not take is named. */
  readonly ranges?: readonly TargetRange[];
  /** Decides the samples: equal digests, equal samples. SHA-256, lower-case hex. */
  readonly digest: string;
  /**
   * Tells whether these are the samples of another time, where `digest` may differ though they are: of files that were copied, say.
   * Default: `digest`.
   */
  readonly identity?: () => Promise<string>;
  /**
   * Fills in the samples at `indices`, in that order, one after the other without gaps, as bytes of the two fields.
   * @throws RangeError when an index is out of range
   * @throws DataError when what is stored turns out to be damaged
   */
  gather(indices: Uint32Array, inputs: Uint8Array, targets: Uint8Array): void | Promise<void>;
}

/** The samples at `indices`, as `gather` gives them, in memory of their own. */
export async function readSamples(
  part: Dataset,
  indices: Uint32Array,
): Promise<{ readonly inputs: Uint8Array; readonly targets: Uint8Array }> {
  const inputs = new Uint8Array(indices.length * fieldBytes(part.input));
  const targets = new Uint8Array(indices.length * fieldBytes(part.target));
  await part.gather(indices, inputs, targets);
  return { inputs, targets };
}

/** What a format is opened to: fields are the same in both. */
export interface DataParts {
  readonly train: Dataset;
  /** What is never trained on. */
  readonly test: Dataset;
  readonly preparation: Preparation;
  /** What whoever owns the data should hear, a sentence each: files left out, unknown categories. */
  readonly notes?: readonly string[];
}

/**
 * How raw input became what the network was trained on. It is written into the weights' metadata (kasane.data), so that
 * predictions do the same; hence JSON only.
 */
export interface Preparation {
  /** u8 input: (v / 255 - mean) / std; one number, or one a channel. */
  readonly mean?: number | readonly number[];
  readonly std?: number | readonly number[];
  /** Of u8 samples that are not images of a known size: their shape, where it is no square of one channel. A model may take them flat. */
  readonly shape?: readonly number[];
  /** Of u8 samples that are gray pictures: dark on a bright ground. Absent: bright on dark, as MNIST's digits. */
  readonly ground?: 'bright';
  /** Names of the classes, by number. */
  readonly classes?: readonly string[];
  /** Images: what they are brought to. */
  readonly image?: ImageForm;
  /** Rows of a table: how a row becomes numbers. */
  readonly table?: TablePreparation;
  /** Windows of a table. */
  readonly series?: SeriesPreparation;
  readonly text?: TextPreparation;
}

/** Names of the classes, by number, whatever the format; undefined where there are none. */
export const classNamesOf = ({ classes, table }: Preparation): readonly string[] | undefined =>
  classes ?? table?.classes;

/** Rows of a table: `columns` give the features, in this order; see `encodeRow` in table.ts. */
export interface TablePreparation {
  readonly columns: readonly ColumnEncoding[];
  /** Of a model with input layers: how many of the features each takes, in this order. */
  readonly inputs?: readonly { readonly name: string; readonly features: number }[];
  /** What a missing number counts as. */
  readonly missing: 'fail' | 'mean';
  /** Of a regression: what comes out is (v - mean) / std of these columns. */
  readonly targets: readonly NumberEncoding[];
  /** Of a classification. */
  readonly classes?: readonly string[];
  /** How the file was written, where it is not as in `plainForm`: predictions read theirs in the same way. */
  readonly form?: Partial<TableForm>;
}

/** Windows of `window` rows of `columns`; what comes out are the `horizon` rows after it, of `targets`. */
export interface SeriesPreparation {
  readonly window: number;
  readonly horizon: number;
  readonly columns: readonly NumberEncoding[];
  /** Names among the columns. */
  readonly targets: readonly string[];
  /** What a missing value counts as. Default fail. */
  readonly missing?: 'fail' | 'previous';
  /** What was said of time: see `SeriesOptions`. */
  readonly time?: string | readonly string[];
  readonly order?: 'check' | 'sort' | 'file';
  readonly gaps?: 'fail' | 'accept';
  /** The usual one from a time to the next, unless gaps are accepted: milliseconds between dates. Predictions need about the same. */
  readonly step?: number;
  /** As of a table. */
  readonly form?: Partial<TableForm>;
}

export interface TextPreparation {
  readonly tokenizer: TokenizerSpec;
  /** Tokens of a sample. */
  readonly context: number;
  readonly objective: 'next-token' | 'masked-token' | 'classification';
  /** Classification: which end of a short text is filled with padding. */
  readonly pad?: 'front' | 'end';
  /** Of the files, where it is not utf-8: predictions read theirs in the same way. */
  readonly encoding?: string;
}

/** How often each number below `classes` occurs. */
export function countsOf(labels: Iterable<number>, classes: number): number[] {
  const counts = new Array<number>(classes).fill(0);
  for (const label of labels) if (label >= 0) counts[label] = (counts[label] ?? 0) + 1;
  return counts;
}

/** A data file that is missing or damaged. The message names the file, what was found and what would be right. */
export class DataError extends Error {
  override readonly name = 'DataError';
}

/** Of what does not exist; its cause says so as the system does, for whoever has an exit code for that. */
export const notFound = (message: string): DataError =>
  new DataError(message, { cause: Object.assign(new Error(message), { code: 'ENOENT' }) });
