/**
 * The parts of a dataset in a folder: train beside test, by their usual names. Folders of images and of texts are laid out in the
 * same ways, so both ask here. What is not plain is refused, with the option that settles it.
 */
import { basename, resolve } from 'node:path';
import { kindOfPath } from '@kasane/tensor/internal/node/regular-file';
import { DataError, notFound } from '../dataset.ts';
import { extensionOf, isWithin, listData, shownName } from './folder.ts';

/** What the folders in a data set's folder are. */
export type Layout =
  /** Parts, if all of them are called so; classes (or a part of the text), if none is. Anything else is an error. */
  | 'auto'
  /** Those called train, test and so on are parts; others are left out. */
  | 'parts'
  /** The folder is one whole: whatever its folders are called, they are classes, or a part of the text. */
  | 'whole';

export interface Located {
  /** A folder; of a text a file or a folder. */
  readonly train: string;
  /** Absent: a part of `train` is kept for testing. */
  readonly test?: string;
  /** Whether a path is of the training part: false of what lies in a test folder that lies in `train`. */
  readonly trains: (path: string) => boolean;
  /** What was taken for what, as a sentence. */
  readonly notes: readonly string[];
}

type Part = 'train' | 'validation' | 'test';

/** Usual names, in lower case and without what `bare` takes away. */
const names: Readonly<Record<Part, readonly string[]>> = {
  train: ['train', 'training', 'trn', 'tr'],
  validation: ['valid', 'validation', 'validate', 'val', 'dev', 'devel', 'development'],
  test: ['test', 'testing', 'tst', 'te', 'ts', 'eval', 'evaluation', 'holdout', 'heldout'],
};
/** These may as well be names of classes (languages, departments): beside other folders they are. */
const weak = new Set(['trn', 'tr', 'dev', 'devel', 'development', 'tst', 'te', 'ts', 'eval', 'evaluation']);

/** train_set, TrainSet, training-data, train.images: what stands around the word says nothing. */
const bare = (name: string): string =>
  shownName(name)
    .toLowerCase()
    .replace(
      /(?<=.)(?:[ _.-]*(?:data ?set|sets?|data|images?|imgs?|pictures?|photos?|texts?|split|folder|dir|\d{1,4}))+$/,
      '',
    )
    .replace(/[ _.-]+$/, '');

export function partOf(name: string): Part | undefined {
  const word = bare(name);
  return (Object.keys(names) as Part[]).find((part) => names[part].includes(word));
}

/** seg_train beside seg_test: names that hold a part's, as a word. */
function partWithin(name: string): Part | undefined {
  const words = shownName(name)
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u);
  if (words.length < 2) return undefined;
  return (Object.keys(names) as Part[]).find((part) =>
    words.some((word) => names[part].includes(word) && !weak.has(word)),
  );
}

export interface LayoutOptions {
  readonly path: string;
  readonly test?: string | undefined;
  readonly layout: Layout;
  /** classes: folders of class folders. text: folders of text files, or the files themselves, such as train.txt. */
  readonly content: 'classes' | 'text';
}

/**
 * Where the parts of the data set in the folder `path` are.
 * @throws DataError when that is doubtful, or when a folder is not there
 */
export function locateParts(options: LayoutOptions): Located {
  const { path, test, layout, content } = options;
  if (test !== undefined && kindOfPath(test) === 'nothing') {
    throw notFound(`${test}: file or folder not found; set data.test to the data to test on`);
  }
  const apart = test !== undefined && resolve(test) !== resolve(path) ? resolve(test) : undefined;
  const inTest = (at: string) => apart !== undefined && isWithin(resolve(at), apart);
  const trains = (at: string) => !inTest(at);
  const whole: Located = { train: path, ...(test !== undefined && { test }), trains, notes: [] };
  if (layout === 'whole') return whole;
  const { folders, files } = listData(path);
  const entries = [...folders, ...(content === 'text' ? files.filter(isText) : [])].filter((entry) =>
    trains(entry),
  );
  const stemOf = (entry: string) => {
    const name = basename(entry);
    return folders.includes(entry) ? name : name.slice(0, name.length - extensionOf(name).length);
  };
  // As in: valid and invalid.
  const opposed = entries.some((entry) => /^(?:in|not[ _-]?|non[ _-]?)valid$/i.test(stemOf(entry)));
  const parts = new Map(
    entries.map((entry) => [
      entry,
      opposed && /^valid$/i.test(stemOf(entry)) ? undefined : partOf(stemOf(entry)),
    ]),
  );
  const known = entries.filter((entry) => parts.get(entry) !== undefined);
  const others = entries.filter((entry) => parts.get(entry) === undefined);
  if (layout === 'auto') {
    if (known.length === 0) return content === 'text' ? whole : checkWithin(whole, entries, stemOf, path);
    if (!looksLikeParts({ known, others, parts, stemOf, content })) return whole;
    if (others.length > 0) throw mixed(path, known, others);
  }
  return { ...choose(options, known, others, parts), trains };
}

const isText = (file: string) => ['.txt', '.md'].includes(extensionOf(file));
const quoted = (paths: readonly string[]): string => {
  const shown = paths.slice(0, 3).map((path) => `'${basename(path)}'`);
  return shown.join(', ') + (paths.length > shown.length ? ` and ${paths.length - shown.length} more` : '');
};
const SETTLE =
  "Set data.layout: parts (folders such as 'train' and 'test' are parts) or whole (they are not)";

interface Seen {
  readonly known: readonly string[];
  readonly others: readonly string[];
  readonly parts: ReadonlyMap<string, Part | undefined>;
  readonly stemOf: (entry: string) => string;
  readonly content: 'classes' | 'text';
}

/** Whether names of parts mean parts, as far as that may be asked: false where they are plainly something else. */
function looksLikeParts({ known, others, parts, stemOf, content }: Seen): boolean {
  const kinds = new Set(known.map((entry) => parts.get(entry)));
  const strong = known.some((entry) => !weak.has(bare(stemOf(entry))));
  // A text that happens to be called so, such as training.md among other chapters.
  if (content === 'text') return kinds.has('train') && kinds.size > 1;
  if (strong) return true;
  // Turkish beside Telugu: class folders hold files, parts hold class folders.
  return (
    others.length === 0 && kinds.has('train') && known.every((entry) => listData(entry).folders.length > 0)
  );
}

function mixed(path: string, known: readonly string[], others: readonly string[]): DataError {
  return new DataError(
    `${path}: ${quoted(known)} ${known.length === 1 ? 'looks like a part' : 'look like parts'} of a dataset, ${quoted(others)} ${others.length === 1 ? 'does' : 'do'} not. ${SETTLE}`,
  );
}

/** No name is a part's, but they may hold one. */
function checkWithin(
  whole: Located,
  entries: readonly string[],
  stemOf: (entry: string) => string,
  path: string,
): Located {
  const kinds = entries.map((entry) => partWithin(stemOf(entry)));
  if (!kinds.includes('train') || !kinds.some((kind) => kind !== undefined && kind !== 'train')) return whole;
  const like = entries.filter((_, index) => kinds[index] !== undefined);
  throw new DataError(
    `${path}: ${quoted(like)} look like parts of a dataset. Set data.path and data.test to them, or data.layout: whole`,
  );
}

function choose(
  { path, test, layout, content }: LayoutOptions,
  known: readonly string[],
  others: readonly string[],
  parts: ReadonlyMap<string, Part | undefined>,
): Omit<Located, 'trains'> {
  const of = (part: Part): string | undefined => {
    const [first, second] = known.filter((entry) => parts.get(entry) === part);
    if (!first || !second) return first;
    const keys = part === 'train' ? 'data.path to the one to train on' : 'data.test to the one to test on';
    if (part !== 'train' && test !== undefined) return undefined;
    throw new DataError(`${path}: both ${quoted([first, second])} may be the ${part} part. Set ${keys}`);
  };
  const train = of('train');
  const found = { test: of('test'), validation: of('validation') };
  if (train === undefined) {
    throw new DataError(
      `${path}: ${known.length > 0 ? `${quoted(known)} ${known.length === 1 ? 'looks like a part' : 'look like parts'} of a dataset, but there is no 'train'` : "it has no folder 'train', as data.layout: parts expects"}. ${SETTLE}`,
    );
  }
  const tested = test ?? found.test ?? found.validation;
  if (tested === undefined && layout === 'auto') {
    throw new DataError(
      `${path}: '${basename(train)}' is all it contains. Set data.path: ${train} if that is the data, or data.layout: whole if it is a class`,
    );
  }
  const unused = [...known.filter((entry) => entry !== train && entry !== tested), ...others];
  const note = [
    `${path}: trains on '${basename(train)}' and tests on ${tested === undefined ? 'a part of it' : `'${basename(tested)}'`}`,
    ...(unused.length > 0 ? [`ignores ${quoted(unused)}`] : []),
    ...(layout === 'auto'
      ? [`set data.layout: whole if they are ${content === 'text' ? 'one text' : 'classes'}`]
      : []),
  ].join('; ');
  return { train, ...(tested !== undefined && { test: tested }), notes: [note] };
}
