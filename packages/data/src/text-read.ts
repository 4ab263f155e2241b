/**
 * Text files to tokens: everything of a text data set that takes long. It runs in a thread of its own (text-thread.ts), for
 * learning a tokenizer from a long text and encoding it take minutes.
 */
import { createHash } from 'node:crypto';
import { extname, join } from 'node:path';
import { kindOfPath } from '@kasane/tensor/node/regular-file';
import { bytesOf } from './arrays.ts';
import { openCsvFile } from './csv-file.ts';
import { DataError } from './dataset.ts';
import { decodeText } from './decode-text.ts';
import { listFolder, readRegularSync, statRegular } from './regular-file.ts';
import { splitAtRandom } from './shuffle.ts';
import type { TextOptions } from './text.ts';
import { PAD, type TokenizerSpec, trainTokenizer } from './tokenizer.ts';

/** A text that samples are windows of. */
export interface StreamTokens {
  readonly tokens: Int32Array;
  /** SHA-256 of the tokens, and of how they are cut. */
  readonly digest: string;
}
/** Texts with a class each: `context` tokens a text, one after the other. */
export interface LabelledTokens {
  readonly inputs: Int32Array;
  readonly targets: Int32Array;
}
interface Read<Kind, Part> {
  readonly kind: Kind;
  readonly tokenizer: TokenizerSpec;
  /** Of the vocabulary. */
  readonly size: number;
  readonly train: Part;
  readonly test: Part;
}
export type TextRead =
  | Read<'stream', StreamTokens>
  | (Read<'labelled', LabelledTokens> & { readonly classes: readonly string[] });

/** Bytes of all files together: their tokens are in memory. */
const TEXT_BYTES = 1 << 29;

/** @throws DataError */
export async function readTokens(options: TextOptions): Promise<TextRead> {
  return options.objective === 'classification' ? readClasses(options) : readStream(options);
}

function readStream(options: TextOptions): TextRead {
  const { path, test, validation, context, stride = context, objective } = options;
  const whole = readAll(path);
  // At a character's edge: code units of one character stay together.
  const cut = test === undefined ? edge(whole, Math.floor(whole.length * (1 - validation))) : whole.length;
  const texts = { train: whole.slice(0, cut), test: test === undefined ? whole.slice(cut) : readAll(test) };
  const tokenizer = trainTokenizer(options.tokenizer, texts.train, options.vocabulary);
  const encode = (name: 'train' | 'test'): StreamTokens => {
    const tokens = tokenizer.encode(texts[name]);
    const hash = createHash('sha256').update(JSON.stringify([context, stride, objective]));
    return { tokens, digest: hash.update(bytesOf(tokens)).digest('hex') };
  };
  return {
    kind: 'stream',
    tokenizer: tokenizer.spec,
    size: tokenizer.size,
    train: encode('train'),
    test: encode('test'),
  };
}

const edge = (text: string, at: number) => (/[\uDC00-\uDFFF]/.test(text[at] ?? '') ? at + 1 : at);

interface Labelled {
  readonly text: string;
  readonly label: string;
}

async function readClasses(options: TextOptions): Promise<TextRead> {
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
  const encode = (name: 'train' | 'test'): LabelledTokens => {
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
    return { inputs, targets };
  };
  return {
    kind: 'labelled',
    tokenizer: tokenizer.spec,
    size: tokenizer.size,
    classes,
    train: encode('train'),
    test: encode('test'),
  };
}

async function readLabelled(path: string, options: TextOptions): Promise<Labelled[]> {
  if (kindOfPath(path) !== 'folder') return readLabelledCsv(path, options);
  const groups = listFolder(path).filter((entry) => entry.isDirectory());
  if (groups.length === 0)
    throw new DataError(`${path}: it has no folders; one for each class, with its texts, is expected`);
  return groups.flatMap(({ name: label }) => {
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
  const kind = kindOfPath(path);
  if (kind === 'nothing') throw new DataError(`${path}: there is no such file or folder; text is expected`);
  const files = kind === 'folder' ? textFiles(path) : [path];
  if (files.length === 0) throw new DataError(`${path}: no .txt or .md files in it`);
  const bytes = files.reduce((sum, file) => sum + statRegular(file).size, 0);
  if (bytes > TEXT_BYTES)
    throw new DataError(`${path}: ${bytes} bytes of text; at most ${TEXT_BYTES} are read`);
  const text = files.map(readText).join('\n');
  if (text.length === 0) throw new DataError(`${path}: it is empty`);
  return text;
}

/** By code units: the same on every machine. */
function textFiles(folder: string): string[] {
  return listFolder(folder).flatMap(({ name }) => {
    const path = join(folder, name);
    if (kindOfPath(path) === 'folder') return textFiles(path);
    return ['.txt', '.md'].includes(extname(name).toLowerCase()) ? [path] : [];
  });
}

function readText(path: string): string {
  return decodeText(readRegularSync(path, TEXT_BYTES), path);
}
