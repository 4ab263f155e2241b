/** Packs samples that a program makes: any iterator of numbers becomes a dataset that jobs can train on. */
import type { FieldType } from '@kasane/tensor/internal/field';
import type { Shape } from '@kasane/tensor/shape';
import { packInto } from './pack-into.ts';

/** What every sample has. */
export interface SampleFields {
  /**
   * f32: numbers, which the model takes as they are. u8: pixels or bytes, 0 to 255; the model takes (v / 255 - mean) / std.
   * i32: tokens, for a model that begins with an embedding.
   */
  readonly input: { readonly dtype: FieldType; readonly shape: Shape };
  /** A class by its name or number, numbers (regression and binary), or tokens below `tokens` (-1: this one does not count). */
  readonly target:
    | { readonly classes: readonly string[] }
    | { readonly shape: Shape }
    | { readonly tokens: number; readonly shape: Shape };
  /** Of u8 input: one number, or one per channel. Default: 0 and 1. */
  readonly mean?: number | readonly number[];
  readonly std?: number | readonly number[];
}

export interface Sample {
  /** Row-major, as many numbers as the shape has. */
  readonly input: ArrayLike<number>;
  /** A class, or as many numbers as the shape of the target has; a number for [] and [1]. */
  readonly target: number | string | ArrayLike<number>;
}

export type Samples = Iterable<Sample> | AsyncIterable<Sample>;

export interface PackOptions {
  /** Called after each chunk of about 4 MB, with the samples packed so far. */
  readonly onProgress?: (samples: number) => void;
}

export interface PackedDataset {
  readonly folder: string;
  /** Samples of each part. */
  readonly train: number;
  readonly test: number;
  /** SHA-256 of its index: equal samples, equal digest. */
  readonly digest: string;
}

/**
 * Packs samples into a folder for `data: { format: packed, path: FOLDER }`. Samples are read once, one at a time, and written in
 * chunks: the dataset may be larger than the memory. The index is written last, so an interrupted packing leaves no dataset; chunks
 * that it has written are kept and not written again.
 *
 * @param folder new, empty, or with the chunks of an interrupted packing
 * @param fields what every sample has
 * @param parts what is trained on, and what is tested on
 * @throws DataError naming the part, the sample (counted from 0) and what is wrong with it
 */
export async function packDataset(
  folder: string,
  fields: SampleFields,
  parts: { readonly train: Samples; readonly test: Samples },
  options: PackOptions = {},
): Promise<PackedDataset> {
  return packInto(folder, fields, parts, undefined, options);
}
