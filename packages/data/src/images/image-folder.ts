/**
 * Folders of images, one folder a class: path/cat/1.jpg. A folder for training and one for testing inside `path` (layout.ts),
 * a test folder elsewhere, or a part of each class kept for testing by chance.
 */

import { resolve } from 'node:path';
import { counted } from '@kasane/tensor/internal/counted';
import { kindOfPath } from '@kasane/tensor/internal/node/regular-file';
import { countsOf, DataError, type DataParts, type Dataset, notFound } from '../dataset.ts';
import {
  type ClassFolder,
  type ClassFolders,
  checkClassCount,
  keepApart,
  numberClasses,
  readClassFolders,
} from '../files/class-folders.ts';
import { extensionOf } from '../files/folder.ts';
import { type Layout, type Located, locateParts } from '../files/layout.ts';
import { readRegular, statRegular } from '../files/regular-file.ts';
import { listOf } from '../problems.ts';
import { splitAtRandom } from '../shuffle.ts';
import { type CheckedClass, checkClasses } from './checked-classes.ts';
import type { Print } from './image-check.ts';
import {
  type Background,
  decodeImage,
  decoding,
  FILE_BYTES,
  IMAGE_KINDS,
  type ImageForm,
  type Ink,
  imageBytes,
  inkOf,
  isImage,
  Pool,
  RESCALE,
  showing,
} from './image-decode.ts';
import { type Image, type ImagesPart, identityOfImages, imageAt, packImages } from './images-part.ts';
import { contradicting, type Printed, testedCopies } from './same-pictures.ts';

export interface ImageFolderOptions {
  readonly format: 'imagefolder';
  readonly path: string;
  /** Folder of the test images, with the same classes. Default: the test part that lies in `path`; then a part of all. */
  readonly test?: string | undefined;
  /** Whether the folders in `path` are parts or classes. */
  readonly layout: Layout;
  /** Part of each class that is kept for testing where there is no test folder. */
  readonly validation: number;
  /** Of that division. */
  readonly seed: number;
  /** Side, or [height, width], to which images are brought. */
  readonly size: number | readonly number[];
  readonly channels: 1 | 3;
  readonly fit: 'cover' | 'contain' | 'fill';
  /** On what transparent parts are put. auto: on the one that shows the pictures, decided once for all of them. */
  readonly background: 'auto' | Background;
  /**
   * What becomes of files that can not be used. fail: they are named at once, as far as their structure shows it. skip: they are
   * left out and counted; every image is decoded once before training for it.
   */
  readonly onDamaged: 'fail' | 'skip';
  readonly mean: number | readonly number[];
  readonly std: number | readonly number[];
  /** Images decoded at once. Default: one a core, together with every other data set of the process. */
  readonly threads?: number;
  /** Whether decoded images of a small part stay in memory. Default true. */
  readonly keep?: boolean;
}

/** Decoded samples of a part are kept in memory when all of them take no more bytes than this. */
const KEPT_BYTES = 256 << 20;
/** Kinds of files that a message names. */
const NAMED = 5;

/** What a reader in a thread of its own brings of a folder. */
export interface ImagesRead {
  readonly form: ImageForm;
  readonly classes: readonly string[];
  readonly train: ImagesPart;
  readonly test: ImagesPart;
  readonly notes: readonly string[];
}

/** One that was looked at. */
interface CheckedOne extends Image {
  readonly print: Print;
}

/** As `openImages`, on this thread: for tests and tools. @throws DataError naming the files that can not be used */
export const openImageFolder = async (options: ImageFolderOptions): Promise<DataParts> =>
  imagesOfRead(await readImageFolder(options), options, (part) => identityOfImages(options.path, part));

/** @throws DataError naming the files that can not be used */
export async function readImageFolder(options: ImageFolderOptions): Promise<ImagesRead> {
  const { path, validation, seed } = options;
  const [height, width] = typeof options.size === 'number' ? [options.size, options.size] : options.size;
  const plain: ImageForm = { height: height!, width: width!, channels: options.channels, fit: options.fit };
  if (kindOfPath(path) !== 'folder') {
    const refuse = kindOfPath(path) === 'nothing' ? notFound : (why: string) => new DataError(why);
    throw refuse(`${path}: folder not found; expected a folder with one subfolder of images per class`);
  }
  const located = locateParts({ ...options, content: 'classes' });
  const folders = readParts(located);
  const found = await findUsable(folders.train, options, plain);
  const other = folders.test && (await findUsable(folders.test, options, plain));
  const { classes } = found;
  if (found.images.length === 0) throw new DataError(`${path}: it contains no usable images`);
  checkClassCount(located.train, classes, found.groups);
  const numbers = other ? numberClasses(other.classes, classes, located.test!, located.train) : [];
  const parts = other
    ? {
        train: found.images,
        test: other.images.map((image) => ({ ...image, label: numbers[image.label]! })),
      }
    : splitByClass(found.images, validation, seed);
  if (parts.test.length === 0) {
    throw new DataError(
      other
        ? `${located.test}: it contains no usable test images`
        : `${path}: each class has only one image, so none is left to test on. Add images, or set data.test to a folder of test images`,
    );
  }
  const named = (images: readonly CheckedOne[]): Printed[] =>
    images.map((image) => ({ ...image, label: classes[image.label]! }));
  // A job that names one folder for both parts was told so.
  const copies =
    located.test !== undefined && resolve(located.test) === resolve(located.train)
      ? []
      : await testedCopies(named(parts.train), named(parts.test));
  const { background, notes } = await chooseBackground([...found.alpha, ...(other?.alpha ?? [])], options);
  const form = background ? { ...plain, background } : plain;
  return {
    ...{ form, classes },
    train: packImages(path, parts.train, ['train', form]),
    test: packImages(path, parts.test, ['test', form]),
    notes: [...located.notes, ...found.notes, ...(other?.notes ?? []), ...copies, ...notes],
  };
}

/** @param identify tells a part from others by its files: see `Dataset.identity` */
export function imagesOfRead(
  { form, classes, notes, ...parts }: ImagesRead,
  { mean, std, threads, keep = true }: ImageFolderOptions,
  identify: (part: ImagesPart) => Promise<string>,
): DataParts {
  const pool = threads === undefined ? decoding : new Pool(threads);
  const part = (images: ImagesPart): Dataset => ({
    ...dataset(images, { form, classes: classes.length, pool, keep }),
    identity: () => identify(images),
  });
  return {
    train: part(parts.train),
    test: part(parts.test),
    preparation: { mean, std, classes, image: form },
    notes,
  };
}

interface Found {
  readonly groups: readonly ClassFolder[];
  readonly classes: readonly string[];
  readonly images: readonly CheckedOne[];
  /** Paths of those with an alpha channel. */
  readonly alpha: readonly string[];
  readonly notes: readonly string[];
}

function readParts(located: Located): { readonly train: ClassFolders; readonly test?: ClassFolders } {
  const train = readClassFolders(located.train, 'images', isImage, located.trains);
  if (located.test === undefined) return { train };
  return keepApart(
    train,
    readClassFolders(located.test, 'images', isImage, () => true),
    'images',
    isImage,
  );
}

/** Classes by name, files by name within a class: the order does not depend on the file system. */
async function findUsable(found: ClassFolders, options: ImageFolderOptions, form: ImageForm): Promise<Found> {
  const { folder } = found;
  const classes: string[] = [];
  const images: CheckedOne[] = [];
  const checked = await checkClasses(found.groups, isImage, form, options.onDamaged === 'skip');
  const twice = await contradicting(
    checked.flatMap(({ name, usable }) => usable.map(({ path, print }) => ({ path, print, label: name }))),
  );
  const problems = [...found.problems];
  /** Classes that have nothing but files of other kinds. */
  let lacking = 0;
  for (const { group, usable, damaged, name } of checked) {
    for (const problem of damaged) problems.push(problem);
    const left = usable.filter(({ path }) => !twice.paths.has(path));
    if (usable.length === 0) {
      const others = otherKinds(group.files);
      if (others !== '') lacking++;
      problems.push(`${group.path}: this class has no usable images (${IMAGE_KINDS.join(', ')})${others}`);
    }
    if (left.length === 0) continue;
    // Not as arguments: a class may have more images than a stack holds.
    for (const { path, print } of left) images.push({ path, print, label: classes.length });
    classes.push(name);
  }
  problems.push(...twice.problems);
  const sum = (of: (one: CheckedClass) => number) => checked.reduce((all, one) => all + of(one), 0);
  const total = found.leftOut + sum(({ usable, damaged }) => usable.length + damaged.length);
  const animated = sum(({ usable }) => usable.filter(({ kind }) => kind?.animated).length);
  const deep = sum(({ usable }) => usable.filter(({ kind }) => kind?.deep).length);
  const alpha = checked.flatMap(({ usable }) =>
    usable.filter(({ kind }) => kind?.alpha).map(({ path }) => path),
  );
  const others = found.groups.flatMap(({ files }) => files.filter((file) => !isImage(file)));
  const notes = [...found.notes];
  if (others.length > 0)
    notes.push(`${folder}: only ${IMAGE_KINDS.join(', ')} files are used${otherKinds(others)}`);
  if (animated > 0)
    notes.push(`${folder}: only the first frame of ${counted(animated, 'animated image')} is used`);
  if (deep > 0) notes.push(`${folder}: ${counted(deep, 'image')} ${deep === 1 ? 'has' : 'have'} ${RESCALE}`);
  const { groups } = found;
  if (problems.length === 0) return { groups, classes, images, alpha, notes };
  const list = listOf(problems);
  if (options.onDamaged === 'fail') {
    // Where nothing would be left, to skip is no way out.
    const skip = images.length > 0 ? ', or set data.onDamaged: skip' : '';
    // One cure for classes of a whole data set in another format, which is what lacks most often.
    const convert = lacking > 0 ? '. Save images as JPEG or PNG, with that extension' : '';
    const fix = lacking === problems.length && skip === '' ? '' : `. Fix this${skip}`;
    throw new DataError(`${list}${convert}${fix}`);
  }
  if (images.length === 0) throw new DataError(`${folder}: it contains no usable images: ${list}`);
  const left = total - images.length;
  // What is named may be links or folders that never were images of a class.
  const also = problems.length > left ? `, and found ${counted(problems.length, 'problem')}` : '';
  notes.push(left > 0 ? `skipped ${left} of ${counted(total, 'image')}${also}: ${list}` : `skipped ${list}`);
  return { groups, classes, images, alpha, notes };
}

/** Images with an alpha channel whose ink is weighed at most. */
const WEIGHED = 256;

/** On what transparent parts are put, decided once for all images of a data set. */
async function chooseBackground(
  paths: readonly string[],
  { background, path }: ImageFolderOptions,
): Promise<{ background?: Background; notes: string[] }> {
  if (paths.length === 0) return { notes: [] };
  if (background !== 'auto') return { background, notes: [] };
  const every = Math.ceil(paths.length / WEIGHED);
  const some = paths.filter((_, index) => index % every === 0);
  const inks = await Promise.all(
    some.map((file) =>
      decoding.run(async () =>
        inkOf(await readRegular(file, FILE_BYTES)).catch(() => ({ transparent: false, dark: 0, bright: 0 })),
      ),
    ),
  );
  const through = inks.filter(({ transparent }) => transparent);
  const sum = (of: (ink: Ink) => number) => through.reduce((all, ink) => all + of(ink), 0);
  const chosen = showing({ dark: sum(({ dark }) => dark), bright: sum(({ bright }) => bright) });
  if (through.length === 0) return { background: chosen, notes: [] };
  const note = `${path}: the background of transparent images is ${chosen}, which gives the best contrast. To choose, set data.background: black or white`;
  return { background: chosen, notes: [note] };
}

/** What else lies there, such as the .heic files of a phone: they would be missed in silence. */
function otherKinds(files: readonly string[]): string {
  const kinds = Map.groupBy(
    files.filter((file) => !isImage(file)).map(extensionOf),
    (kind) => kind || 'without an extension',
  );
  const counts = [...kinds].map(([kind, { length }]) => `${length} ${kind}`);
  return counts.length > 0 ? `; ignored: ${counts.slice(0, NAMED).join(', ')}` : '';
}

/** The same part of every class. */
function splitByClass<I extends Image>(images: readonly I[], fraction: number, seed: number) {
  const train: I[] = [];
  const test: I[] = [];
  for (const [label, own] of Map.groupBy(images, (image) => image.label)) {
    const split = splitAtRandom(own.length, fraction, seed, label);
    for (const index of split.train) train.push(own[index]!);
    for (const index of split.test) test.push(own[index]!);
  }
  return { train, test };
}

/**
 * @param bytes that the file had when the data was opened
 * @throws DataError with what to do: by now the training is under way
 */
async function pixelsOf(path: string, bytes: number, form: ImageForm): Promise<Uint8Array> {
  const { size } = statRegular(path);
  if (size !== bytes)
    throw new DataError(
      `${path}: it has changed since the data was opened: ${counted(size, 'byte')} instead of ${bytes}. Restore the earlier file, or start the training again`,
    );
  try {
    return (await decodeImage(path, form)).pixels;
  } catch (cause) {
    if (!(cause instanceof DataError)) throw cause;
    throw new DataError(`${cause.message}. Fix or remove it, or set data.onDamaged: skip`, { cause });
  }
}

function dataset(
  images: ImagesPart,
  { form, classes, pool, keep }: { form: ImageForm; classes: number; pool: Pool; keep: boolean },
): Dataset {
  const size = imageBytes(form);
  const samples = images.labels.length;
  const kept: (Uint8Array | undefined)[] | undefined = keep && samples * size <= KEPT_BYTES ? [] : undefined;
  return {
    samples,
    input: { dtype: 'u8', shape: [form.height, form.width, form.channels] },
    target: { dtype: 'i32', shape: [] },
    classes,
    counts: countsOf(images.labels, classes),
    digest: images.digest,
    gather: async (indices, inputs, targets) => {
      const labels = new Int32Array(indices.length);
      const decoded = Array.from(indices, async (index, i) => {
        if (index >= samples) throw new RangeError(`sample ${index} of ${samples}`);
        labels[i] = images.labels[index]!;
        const pixels =
          kept?.[index] ??
          (await pool.run(() => pixelsOf(imageAt(images, index).path, images.sizes[index]!, form)));
        if (kept) kept[index] = pixels;
        inputs.set(pixels, i * size);
      });
      const outcomes = await Promise.allSettled(decoded);
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
      targets.set(new Uint8Array(labels.buffer));
    },
  };
}
