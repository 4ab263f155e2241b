/** Samples of files that are packed as they are, and not as tables: arrays, images, lists, each under a name. */
import type { NumberKind, Numbers } from './numbers.ts';
import type { RecordValue } from './record-file.ts';

export interface SourceField {
  readonly name: string;
  /** array: numbers of a shape, or lists. image: bytes of an image file. value: a single number or text. other: bytes of any kind. */
  readonly kind: 'array' | 'image' | 'value' | 'other';
  readonly numbers?: NumberKind;
  /** Names of the classes whose numbers it holds, where the file says them. */
  readonly classes?: readonly string[];
}

export interface SourceSample {
  /** Such as `x.npz, row 12`. */
  readonly place: string;
  /** In the order of the names asked for; undefined where there is none. */
  readonly values: readonly (RecordValue | Numbers)[];
}

export interface SampleSource {
  /** In messages. */
  readonly place: string;
  readonly fields: readonly SourceField[];
  /** Fields that its files name as input and target, where they do. */
  readonly input?: string;
  readonly target?: string;
  /** What was no sample and is left out, as far as it was last read. */
  readonly skipped?: () => readonly string[];
  /** All samples, from the first on: it may be asked for again. */
  samples(names: readonly string[]): AsyncIterable<SourceSample>;
}

export interface SourceParts {
  readonly train: SampleSource;
  /** What is never trained on, where it lies apart. */
  readonly test?: SampleSource;
  readonly notes: readonly string[];
}
