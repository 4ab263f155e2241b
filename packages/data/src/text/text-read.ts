/**
 * Text files to tokens: everything of a text data set that takes long. It runs in a thread of its own (read-thread.ts), for
 * learning a tokenizer from a long text and encoding it take minutes.
 */

import { createHash } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import { counted } from '@kasane/tensor/internal/counted';
import { kindOfPath } from '@kasane/tensor/internal/node/regular-file';
import { bytesOf, digestOfArrays } from '../arrays.ts';
import { DataError, notFound } from '../dataset.ts';
import {
  type ClassFolder,
  type ClassFolders,
  checkClassCount,
  keepApart,
  numberClasses,
  readClassFolders,
} from '../files/class-folders.ts';
import { extensionOf, filesBelow, hasNoEnding } from '../files/folder.ts';
import { type Located, locateParts } from '../files/layout.ts';
import { readRegularSync, statRegular } from '../files/regular-file.ts';
import { type FilesOf, leaveOutShared, leaveOutTested, testsOnTraining } from '../files/shared-files.ts';
import { listOf } from '../problems.ts';
import { splitAtRandom } from '../shuffle.ts';
import { openCsvFile, skippedRows } from '../tables/csv-file.ts';
import { repeatedRows } from '../tables/notes/repeated-rows.ts';
import { contradictingTexts, type LabelledText } from './contradicting-texts.ts';
import { decodeText, markedEncoding, UTF8 } from './decode-text.ts';
import type { TextOptions } from './text.ts';
import { PAD, type TokenizerSpec, trainTokenizer } from './tokenizer.ts';
import { truncatedTexts } from './truncated-texts.ts';

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
  readonly digest: string;
}
export interface Read<Kind, Part> {
  readonly kind: Kind;
  readonly tokenizer: TokenizerSpec;
  /** Of the vocabulary. */
  readonly size: number;
  readonly train: Part;
  readonly test: Part;
  /** What whoever owns the data should hear. */
  readonly notes: readonly string[];
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
  const { validation, context, stride = context, objective } = options;
  const located = partsOf(options);
  const damaged: Damaged = { options, problems: [], files: 0 };
  const { train, test, notes } = filesOfParts(located, damaged);
  const whole = readAll(train, damaged);
  // At a character's edge: code units of one character stay together.
  const cut = test === undefined ? edge(whole, Math.floor(whole.length * (1 - validation))) : whole.length;
  const texts = {
    train: whole.slice(0, cut),
    test: test === undefined ? whole.slice(cut) : readAll(test, damaged),
  };
  const tokenizer = trainTokenizer(options.tokenizer, texts.train, options.vocabulary);
  const encode = (name: 'train' | 'test'): StreamTokens => {
    const tokens = tokenizer.encode(texts[name]);
    const hash = createHash('sha256').update(JSON.stringify([context, stride, objective]));
    return { tokens, digest: hash.update(bytesOf(tokens)).digest('hex') };
  };
  const left = whatWasLeftOut(damaged);
  requireDifference(train.path, texts.train);
  return {
    kind: 'stream',
    tokenizer: tokenizer.spec,
    size: tokenizer.size,
    train: encode('train'),
    test: encode('test'),
    notes: [...located.notes, ...notes, ...left],
  };
}

interface PartFiles {
  /** A file, or the folder that all of them are in. */
  readonly path: string;
  readonly files: readonly string[];
}

/** The files of each part, each of them once. */
function filesOfParts(
  { train, test, trains }: Located,
  damaged: Damaged,
): { readonly train: PartFiles; readonly test?: PartFiles; readonly notes: readonly string[] } {
  const notes: string[] = [];
  const unlabelled = ({ path, files }: PartFiles): FilesOf => ({
    folder: files[0] === path ? dirname(path) : path,
    files: files.map((file) => ({ path: file, label: '' })),
  });
  const without = (part: PartFiles, left: ReadonlySet<string>) => ({
    ...part,
    files: part.files.filter((file) => !left.has(file)),
  });
  const once = (path: string, used: (path: string) => boolean): PartFiles => {
    const part = { path, files: filesOf(path, used, damaged) };
    const shared = leaveOutShared(unlabelled(part), 'texts');
    notes.push(...shared.notes);
    return without(part, shared.paths);
  };
  const some = once(train, trains);
  if (test === undefined) return { train: some, notes };
  const others = once(test, () => true);
  if (resolve(train) === resolve(test)) {
    return { train: some, test: others, notes: [...notes, testsOnTraining(train)] };
  }
  const { paths, problems } = leaveOutTested(unlabelled(some), unlabelled(others), 'texts');
  damaged.problems.push(...problems);
  damaged.files += paths.size;
  return { train: without(some, paths), test: others, notes };
}

const edge = (text: string, at: number) => (/[\uDC00-\uDFFF]/.test(text[at] ?? '') ? at + 1 : at);

async function readClasses(options: TextOptions): Promise<TextRead> {
  const { path, validation, seed, context, pad } = options;
  const located = partsOf(options);
  const { train, test, notes } = located;
  const folders = readFolders(located);
  const all = await readLabelled(train, options, folders.train);
  checkClassCount(train, [...new Set(all.texts.map(({ label }) => label))], all.groups);
  const split = splitAtRandom(all.texts.length, validation, seed);
  const pick = (indices: Uint32Array) => Array.from(indices, (index) => all.texts[index]!);
  const other = test === undefined ? undefined : await readLabelled(test, options, folders.test);
  const parts = other
    ? { train: all.texts, test: other.texts }
    : { train: pick(split.train), test: pick(split.test) };
  for (const [name, texts] of Object.entries(parts))
    if (texts.length === 0) throw new DataError(`${path}: no texts are left to ${name} on`);
  const classes = [...new Set(parts.train.map(({ label }) => label))].sort((a, b) => (a < b ? -1 : 1));
  const numbers = new Map(classes.map((name, number) => [name, number]));
  const own = [...new Set(parts.test.map(({ label }) => label))];
  // A class of one text may have gone to the test part.
  numberClasses(own, classes, test ?? path, test === undefined ? 'the training texts' : train);
  const tokenizer = trainTokenizer(
    options.tokenizer,
    parts.train.map(({ text }) => text).join('\n'),
    options.vocabulary,
  );
  const lengths: number[] = [];
  const encode = (name: 'train' | 'test'): LabelledTokens => {
    const texts = parts[name];
    const inputs = new Int32Array(texts.length * context).fill(PAD);
    const targets = Int32Array.from(texts, ({ label }) => numbers.get(label)!);
    for (const [i, { text }] of texts.entries()) {
      const whole = tokenizer.encode(text);
      lengths.push(whole.length);
      const tokens = whole.subarray(0, context);
      inputs.set(tokens, i * context + (pad === 'front' ? context - tokens.length : 0));
    }
    return { inputs, targets, digest: digestOfArrays({ inputs, targets }) };
  };
  const encoded = { train: encode('train'), test: encode('test') };
  const truncated = truncatedTexts(path, lengths, context);
  const samplesOf = (part: LabelledTokens) => ({ ...part, samples: part.targets.length });
  // Where training and test are one file, that is said already.
  const areApart = test === undefined || resolve(train) !== resolve(test);
  const contradicting = contradictingTexts(path, [...all.texts, ...(areApart && other ? other.texts : [])]);
  const repeated = areApart
    ? repeatedRows(samplesOf(encoded.train), samplesOf(encoded.test), path, 'text')
    : [];
  return {
    kind: 'labelled',
    tokenizer: tokenizer.spec,
    size: tokenizer.size,
    classes,
    ...encoded,
    notes: [...notes, ...all.notes, ...(other?.notes ?? []), ...truncated, ...contradicting, ...repeated],
  };
}

/** Where the parts are, of a folder; a file is a whole. */
function partsOf(options: TextOptions): Located {
  const { path, test } = options;
  if (kindOfPath(path) === 'folder') {
    return locateParts({ ...options, content: options.objective === 'classification' ? 'classes' : 'text' });
  }
  return { train: path, ...(test !== undefined && { test }), trains: () => true, notes: [] };
}

interface LabelledTexts {
  readonly texts: readonly LabelledText[];
  /** Of class folders. */
  readonly groups: readonly ClassFolder[];
  readonly notes: readonly string[];
}

/** The class folders of the parts that are folders. */
function readFolders({ train, test, trains }: Located): {
  readonly train?: ClassFolders | undefined;
  readonly test?: ClassFolders | undefined;
} {
  const read = (path: string | undefined, used: (path: string) => boolean) =>
    path !== undefined && kindOfPath(path) === 'folder'
      ? readClassFolders(path, 'texts', textsIn(path), used)
      : undefined;
  const [some, others] = [read(train, trains), read(test, () => true)];
  return some && others ? keepApart(some, others, 'texts', textsIn(train)) : { train: some, test: others };
}

/** @param folders of its classes; without, it is a table with a column of labels */
async function readLabelled(
  path: string,
  options: TextOptions,
  folders: ClassFolders | undefined,
): Promise<LabelledTexts> {
  if (!folders) return { ...(await readLabelledCsv(path, options)), groups: [] };
  const { groups, problems, leftOut, notes } = folders;
  const damaged: Damaged = { options, problems: [...problems], files: leftOut };
  const texts: LabelledText[] = [];
  const isOne = textsIn(folders.folder);
  for (const { name, path: folder, files } of groups) {
    const read = readTexts(files.filter(isOne), damaged, true);
    if (read.length === 0) {
      damaged.problems.push(`${folder}: this class has no usable .txt or .md files`);
    }
    for (const { text, place } of read) texts.push({ text, place, label: name });
  }
  const left = whatWasLeftOut(damaged);
  if (texts.length === 0 && left.length > 0)
    throw new DataError(`${path}: it contains no usable texts: ${listOf(damaged.problems)}`);
  return { texts, groups, notes: [...notes, ...left] };
}

async function readLabelledCsv(path: string, options: TextOptions): Promise<Omit<LabelledTexts, 'groups'>> {
  const file = await openCsvFile(path, { ...options, asWritten: options.text });
  const [text, label] = [options.text, options.label].map((name) => {
    const at = file.columns.indexOf(name);
    if (at >= 0) return at;
    throw new DataError(
      `${path}: there is no column '${name}'; its columns are: ${file.columns.join(', ')}. Set data.text and data.label to columns of the file`,
    );
  }) as [number, number];
  const texts: LabelledText[] = [];
  const problems: string[] = [];
  for await (const { fields, line } of file.rows()) {
    const lacking = fields[label] === '' ? 'label' : fields[text] === '' ? 'text' : undefined;
    if (lacking) problems.push(`${path}:${line}: the ${lacking} is missing`);
    else texts.push({ text: fields[text]!, label: fields[label]!, place: `${path}:${line}` });
  }
  const left = [...file.skipped, ...problems];
  const list = listOf(left);
  if (problems.length > 0 && options.onDamaged === 'fail')
    throw new DataError(`${list}. Fix the file, or set data.onDamaged: skip`);
  if (texts.length === 0 && left.length > 0)
    throw new DataError(`${path}: it contains no usable texts: ${list}`);
  const notes = file.notes();
  if (left.length > 0) notes.push(skippedRows(left, texts.length));
  return { texts, notes };
}

function filesOf(path: string, used: (path: string) => boolean, damaged: Damaged): readonly string[] {
  const kind = kindOfPath(path);
  if (kind === 'nothing') throw notFound(`${path}: file or folder not found; expected text`);
  if (kind !== 'folder') return [path];
  const below = filesBelow(path);
  for (const problem of below.problems) damaged.problems.push(problem);
  const isOne = textsAmong(below.files);
  return below.files.filter((file) => isOne(file) && used(file));
}

function readAll({ path, files }: PartFiles, damaged: Damaged): string {
  if (files.length === 0 && damaged.problems.length === 0)
    throw new DataError(`${path}: it contains no .txt or .md files`);
  const text = readTexts(files, damaged, false)
    .map((one) => one.text)
    .join('\n');
  if (text.length > 0) return text;
  if (damaged.problems.length === 0) throw new DataError(`${path}: it is empty`);
  // To skip them all is no way out.
  if (damaged.options.onDamaged === 'skip')
    throw new DataError(`${path}: it contains no usable text: ${listOf(damaged.problems)}`);
  return text;
}

/** @throws DataError when every character is the same as the others, or blank: what comes next could not be otherwise */
function requireDifference(path: string, text: string): void {
  const [first] = text;
  if (text === '' || (text.trim() !== '' && (text[1] !== first || text !== first!.repeat(text.length))))
    return;
  const what =
    text.trim() === '' ? 'it contains only white space' : `it contains only the character '${first}'`;
  throw new DataError(`${path}: ${what}, so there is nothing to learn`);
}

const isText = (file: string) => ['.txt', '.md'].includes(extensionOf(file));

/** Which of these files are texts: those that are called so; where none is, those whose names say nothing. */
const textsAmong = (files: readonly string[]) => (files.some(isText) ? isText : hasNoEnding);
const textsIn = (folder: string) => textsAmong(filesBelow(folder).files);

/** Files that can not be used, gathered over a data set. */
interface Damaged {
  readonly options: TextOptions;
  readonly problems: string[];
  /** Read so far, these included. */
  files: number;
}
/** The texts of files that can be used. @param filled whether an empty one can not */
function readTexts(
  files: readonly string[],
  damaged: Damaged,
  filled: boolean,
): Omit<LabelledText, 'label'>[] {
  const sizeOf = (file: string) => (kindOfPath(file) === 'file' ? statRegular(file).size : 0);
  const bytes = files.reduce((sum, file) => sum + sizeOf(file), 0);
  if (bytes > TEXT_BYTES) {
    throw new DataError(
      `${damaged.options.path}: ${bytes} bytes of text; at most ${TEXT_BYTES} are supported`,
    );
  }
  damaged.files += files.length;
  return files.flatMap((file) => {
    try {
      const text = readText(file, damaged.options.encoding);
      if (text.trim() !== '' || !filled) return [{ text, place: file }];
      damaged.problems.push(`${file}: it is empty${text === '' ? '' : ' but for white space'}`);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      damaged.problems.push(error.message);
    }
    return [];
  });
}

/** A note of what can not be used. @throws DataError where it must be */
function whatWasLeftOut({ options: { onDamaged }, problems, files }: Damaged): string[] {
  if (problems.length === 0) return [];
  const list = listOf(problems);
  if (onDamaged === 'skip') return [`skipped some of ${counted(files, 'text')}: ${list}`];
  throw new DataError(`${list}. Fix this, or set data.onDamaged: skip`);
}

/**
 * The text of a file, for training and for predictions.
 * @param most bytes that are read
 * @throws DataError when it is not text
 */
export function readText(path: string, encoding = UTF8, most = TEXT_BYTES): string {
  const bytes = readRegularSync(path, most);
  const marked = markedEncoding(bytes);
  if (encoding === UTF8 && marked !== undefined)
    throw new DataError(
      `${path}: it is not UTF-8 but UTF-16. Save the file as UTF-8, or set data.encoding: ${marked}`,
    );
  const text = decodeText(bytes, path, encoding);
  if (!text.includes('\0')) return text;
  throw new DataError(
    `${path}: it contains NUL characters: it is either UTF-16 or not text. Save it as UTF-8`,
  );
}
