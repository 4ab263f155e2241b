/**
 * Text: a file or a folder of files for language models, labelled text (class folders, or a CSV file) for classification.
 * Tokens are numbered by a tokenizer that is learnt from the training part.
 */
import { counted } from '@kasane/tensor/internal/counted';
import { bytesOf, datasetOfArrays } from '../arrays.ts';
import { DataError, type DataParts, type Dataset } from '../dataset.ts';
import { type Access, anywhere } from '../files/access.ts';
import type { Layout } from '../files/layout.ts';
import { readApart } from '../read-apart.ts';
import { saidOf, type TableForm } from '../tables/table-form.ts';
import type { LabelledTokens, StreamTokens } from './text-read.ts';
import type { TokenizerKind } from './tokenizer.ts';

export interface TextOptions extends Partial<TableForm> {
  readonly format: 'text';
  /**
   * next-token, masked-token: a file, or a folder whose .txt and .md files are read in order. classification: a folder of class
   * folders, or a CSV file.
   */
  readonly path: string;
  /** The same for testing. Default: the test part that lies in `path`; then the last part of the text; a part of the labelled texts. */
  readonly test?: string | undefined;
  /** Whether what lies in the folder `path` are parts, such as train and test. */
  readonly layout: Layout;
  readonly validation: number;
  readonly seed: number;
  readonly objective: 'next-token' | 'masked-token' | 'classification';
  readonly tokenizer: TokenizerKind;
  /** Of bpe: tokens, special ones included. */
  readonly vocabulary: number;
  /** Tokens of a sample. */
  readonly context: number;
  /** Tokens from one sample to the next. Default: context. */
  readonly stride?: number | undefined;
  /** Columns of a CSV file. */
  readonly text: string;
  readonly label: string;
  /** Classification: where short texts are filled up. Long ones are cut at the end. */
  readonly pad: 'front' | 'end';
  readonly onDamaged: 'fail' | 'skip';
}

/** @throws DataError */
export async function openText(options: TextOptions, access: Access = anywhere): Promise<DataParts> {
  const read = await readApart(options, access);
  const { context, objective, pad } = options;
  const { tokenizer } = read;
  const kept = encodingOf(options);
  if (read.kind === 'stream') {
    const part = (name: 'train' | 'test') => slide(name, read[name], read.size, options);
    return {
      train: part('train'),
      test: part('test'),
      preparation: { text: { tokenizer, context, objective, ...kept } },
      notes: read.notes,
    };
  }
  const { classes } = read;
  const part = (tokens: LabelledTokens) => labelled(tokens, classes.length, context);
  return {
    train: part(read.train),
    test: part(read.test),
    preparation: { classes, text: { tokenizer, context, objective: 'classification', pad, ...kept } },
    notes: read.notes,
  };
}

/** What is kept of how files are written: of that only the encoding is about texts that stand alone. */
function encodingOf(options: TextOptions): { readonly encoding?: string } {
  const { encoding } = saidOf(options);
  return encoding === undefined ? {} : { encoding };
}

/** Samples are windows of one array. Targets: the next token of each, or the token itself (what is masked, the worker draws). */
function slide(
  name: 'train' | 'test',
  { tokens, digest }: StreamTokens,
  classes: number,
  { path, context, stride = context, objective }: TextOptions,
): Dataset {
  const ahead = objective === 'next-token' ? 1 : 0;
  const samples = Math.max(0, Math.floor((tokens.length - ahead - context) / stride) + 1);
  if (samples === 0) {
    throw new DataError(
      `${path}: ${counted(tokens.length, 'token')} to ${name} on, but one sample takes ${context + 1}. Reduce the context, or add text`,
    );
  }
  const field = { dtype: 'i32', shape: [context] } as const;
  return {
    samples,
    input: field,
    target: field,
    classes,
    digest,
    gather: (indices, inputs, targets) => {
      for (const [i, at] of indices.entries()) {
        if (at >= samples) throw new RangeError(`sample ${at} of ${samples}`);
        const start = at * stride;
        inputs.set(bytesOf(tokens.subarray(start, start + context)), 4 * i * context);
        targets.set(bytesOf(tokens.subarray(start + ahead, start + ahead + context)), 4 * i * context);
      }
    },
  };
}

const labelled = ({ inputs, targets, digest }: LabelledTokens, classes: number, context: number): Dataset =>
  datasetOfArrays({
    samples: targets.length,
    input: { dtype: 'i32', shape: [context] },
    target: { dtype: 'i32', shape: [] },
    inputs,
    targets,
    classes,
    digest,
  });
