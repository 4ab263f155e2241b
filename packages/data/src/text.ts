/**
 * Text: a file or a folder of files for language models, labelled text (class folders, or a CSV file) for classification.
 * Tokens are numbered by a tokenizer that is learnt from the training part.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { bytesOf, datasetOfArrays } from './arrays.ts';
import { openCsvFile } from './csv-file.ts';
import { DataError, type DataParts, type Dataset } from './dataset.ts';
import { splitAtRandom } from './shuffle.ts';
import { PAD, type Tokenizer, type TokenizerKind, trainTokenizer } from './tokenizer.ts';

export interface TextOptions {
  readonly format: 'text';
  /**
   * next-token, masked-token: a file, or a folder whose .txt and .md files are read in order. classification: a folder of class
   * folders, or a CSV file.
   */
  readonly path: string;
  /** The same for testing. Default: the last part of the text; a part of the labelled texts. */
  readonly test?: string | undefined;
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
  readonly delimiter: string;
  /** Classification: where short texts are filled up. Long ones are cut at the end. */
  readonly pad: 'front' | 'end';
  readonly onDamaged: 'fail' | 'skip';
}

/** Bytes of all files together: their tokens are in memory. */
const TEXT_BYTES = 1 << 29;

/** @throws DataError */
export async function openText(options: TextOptions): Promise<DataParts> {
  return options.objective === 'classification' ? openLabelled(options) : openStream(options);
}

function openStream(options: TextOptions): DataParts {
  const { path, test, validation, context, objective } = options;
  const whole = readAll(path);
  // At a character's edge: code units of one character stay together.
  const cut = test === undefined ? edge(whole, Math.floor(whole.length * (1 - validation))) : whole.length;
  const texts = { train: whole.slice(0, cut), test: test === undefined ? whole.slice(cut) : readAll(test) };
  const tokenizer = trainTokenizer(options.tokenizer, texts.train, options.vocabulary);
  const part = (name: 'train' | 'test') => {
    const tokens = tokenizer.encode(texts[name]);
    const made = slide(tokens, tokenizer, options);
    if (made.samples > 0) return made;
    throw new DataError(
      `${path}: ${tokens.length} tokens to ${name} with; one sample takes ${context + 1}: less context, or more text`,
    );
  };
  return {
    train: part('train'),
    test: part('test'),
    preparation: { text: { tokenizer: tokenizer.spec, context, objective } },
  };
}

const edge = (text: string, at: number) => (/[\uDC00-\uDFFF]/.test(text[at] ?? '') ? at + 1 : at);

/** Samples are windows of one array. Targets: the next token of each, or the token itself (what is masked, the worker draws). */
function slide(
  tokens: Int32Array,
  tokenizer: Tokenizer,
  { context, stride = context, objective }: TextOptions,
): Dataset {
  const ahead = objective === 'next-token' ? 1 : 0;
  const samples = Math.max(0, Math.floor((tokens.length - ahead - context) / stride) + 1);
  const field = { dtype: 'i32', shape: [context] } as const;
  return {
    samples,
    input: field,
    target: field,
    classes: tokenizer.size,
    digest: createHash('sha256')
      .update(JSON.stringify([context, stride, objective]))
      .update(bytesOf(tokens))
      .digest('hex'),
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

interface Labelled {
  readonly text: string;
  readonly label: string;
}

async function openLabelled(options: TextOptions): Promise<DataParts> {
  const { path, test, validation, seed, context, pad } = options;
  const all = await readLabelled(path, options);
  const split = splitAtRandom(all.length, validation, seed);
  const pick = (indices: Uint32Array) => Array.from(indices, (index) => all[index]!);
  const parts =
    test === undefined
      ? { train: pick(split.train), test: pick(split.test) }
      : { train: all, test: await readLabelled(test, options) };
  const classes = [...new Set(parts.train.map(({ label }) => label))].sort((a, b) => (a < b ? -1 : 1));
  const tokenizer = trainTokenizer(
    options.tokenizer,
    parts.train.map(({ text }) => text).join('\n'),
    options.vocabulary,
  );
  const encode = (name: 'train' | 'test'): Dataset => {
    const texts = parts[name];
    if (texts.length === 0) throw new DataError(`${path}: no texts are left to ${name} with`);
    const inputs = new Int32Array(texts.length * context).fill(PAD);
    const targets = Int32Array.from(texts, ({ label }) => {
      const number = classes.indexOf(label);
      if (number >= 0) return number;
      throw new DataError(
        `${test ?? path}: class '${label}' is not in the training part; there are: ${classes.join(', ')}`,
      );
    });
    for (const [i, { text }] of texts.entries()) {
      const tokens = tokenizer.encode(text).subarray(0, context);
      inputs.set(tokens, i * context + (pad === 'front' ? context - tokens.length : 0));
    }
    return datasetOfArrays({
      samples: texts.length,
      input: { dtype: 'i32', shape: [context] },
      target: { dtype: 'i32', shape: [] },
      inputs,
      targets,
      classes: classes.length,
    });
  };
  return {
    train: encode('train'),
    test: encode('test'),
    preparation: { classes, text: { tokenizer: tokenizer.spec, context, objective: 'classification', pad } },
  };
}

async function readLabelled(path: string, options: TextOptions): Promise<Labelled[]> {
  if (!existsSync(path)) throw new DataError(`${path}: there is no such file or folder`);
  if (!statSync(path).isDirectory()) return readLabelledCsv(path, options);
  const groups = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  if (groups.length === 0)
    throw new DataError(`${path}: it has no folders; one for each class, with its texts, is expected`);
  return groups
    .map(({ name }) => name)
    .sort((a, b) => (a < b ? -1 : 1))
    .flatMap((label) => {
      const files = textFiles(join(path, label));
      if (files.length === 0) throw new DataError(`${join(path, label)}: the class has no .txt or .md files`);
      return files.map((file) => ({ label, text: readText(file) }));
    });
}

async function readLabelledCsv(path: string, options: TextOptions): Promise<Labelled[]> {
  const file = await openCsvFile(path, options);
  const [text, label] = [options.text, options.label].map((name) => {
    const at = file.columns.indexOf(name);
    if (at >= 0) return at;
    throw new DataError(
      `${path}: there is no column '${name}'; there are: ${file.columns.join(', ')} (data.text and data.label name them)`,
    );
  }) as [number, number];
  const found: Labelled[] = [];
  for await (const { fields, line } of file.rows()) {
    if (fields[label] === '') throw new DataError(`${path}:${line}: the label is missing`);
    found.push({ text: fields[text]!, label: fields[label]! });
  }
  return found;
}

function readAll(path: string): string {
  if (!existsSync(path)) throw new DataError(`${path}: there is no such file or folder; text is expected`);
  const files = statSync(path).isDirectory() ? textFiles(path) : [path];
  if (files.length === 0) throw new DataError(`${path}: no .txt or .md files in it`);
  const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0);
  if (bytes > TEXT_BYTES)
    throw new DataError(`${path}: ${bytes} bytes of text; at most ${TEXT_BYTES} are read`);
  const text = files.map(readText).join('\n');
  if (text.length === 0) throw new DataError(`${path}: it is empty`);
  return text;
}

/** By code units: the same on every machine. */
function textFiles(folder: string): string[] {
  return readdirSync(folder)
    .sort((a, b) => (a < b ? -1 : 1))
    .flatMap((name) => {
      const path = join(folder, name);
      if (statSync(path).isDirectory()) return textFiles(path);
      return ['.txt', '.md'].includes(extname(name).toLowerCase()) ? [path] : [];
    });
}

function readText(path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path));
  } catch (cause) {
    throw new DataError(`${path}: it is not UTF-8`, { cause });
  }
}
