/** .npy and .npz files as samples: arrays that have a row for each sample. */
import { DataError } from '../dataset.ts';
import { extensionOf } from '../files/folder.ts';
import { openRegular } from '../files/regular-file.ts';
import { ByteQueue } from './byte-queue.ts';
import { type NpyHeader, npyRows, readNpyHeader } from './npy.ts';
import { openNpz } from './npz.ts';
import type { SampleSource, SourceField, SourceParts } from './sample-source.ts';

/** An array that can be read from its beginning, again and again. */
export interface ArrayFile {
  readonly name: string;
  readonly place: string;
  readonly header: NpyHeader;
  open(): Promise<ByteQueue>;
}

export interface ArrayPaths {
  readonly path: string;
  /** .npy: the file with the targets. */
  readonly target?: string | undefined;
  readonly test?: string | undefined;
  readonly testTarget?: string | undefined;
}

/** @throws DataError naming the file and what is wrong with it */
export async function openArrays({ path, target, test, testTarget }: ArrayPaths): Promise<SourceParts> {
  if (extensionOf(path) === '.npy') {
    if (target === undefined)
      throw new DataError(
        `${path}: it holds one array; set target to the .npy file with the targets (--set target=y.npy)`,
      );
    if ((test === undefined) !== (testTarget === undefined))
      throw new DataError(`${test ?? testTarget}: set both test and testTarget, or neither`);
    const train = await paired(path, [await openNpy(path, 'input'), await openNpy(target, 'target')]);
    if (test === undefined || testTarget === undefined) return { train, notes: [] };
    return {
      train,
      test: await paired(test, [await openNpy(test, 'input'), await openNpy(testTarget, 'target')]),
      notes: [],
    };
  }
  const arrays = await openNpz(path);
  if (test !== undefined)
    return { train: sourceOf(path, arrays), test: sourceOf(test, await openNpz(test)), notes: [] };
  return partsOf(path, arrays);
}

/** x_train beside x_test, train_images beside test_images: arrays of two parts. */
function partsOf(path: string, arrays: readonly ArrayFile[]): SourceParts {
  const part = (word: string) => new RegExp(`(^|[_.-])${word}([_.-]|$)`, 'i');
  const bare = (name: string, word: string) =>
    name.replace(part(word), (_, before, after) => (before && after ? before : ''));
  const train = arrays.filter(({ name }) => part('train').test(name));
  for (const word of ['test', 'valid', 'validation', 'val']) {
    const test = arrays.filter(({ name }) => part(word).test(name));
    const names = (some: readonly ArrayFile[], of: string) =>
      some
        .map(({ name }) => bare(name, of))
        .sort()
        .join();
    if (train.length === 0 || names(train, 'train') !== names(test, word)) continue;
    const renamed = (some: readonly ArrayFile[], of: string) =>
      some.map((array) => ({ ...array, name: bare(array.name, of) }));
    const note = `${path}: the arrays ${train.map(({ name }) => name).join(', ')} are for training and ${test.map(({ name }) => name).join(', ')} for testing`;
    return {
      train: sourceOf(path, renamed(train, 'train')),
      test: sourceOf(path, renamed(test, word)),
      notes: [note],
    };
  }
  return { train: sourceOf(path, arrays), notes: [] };
}

async function openNpy(path: string, name: string): Promise<ArrayFile> {
  const file = await openRegular(path);
  try {
    const header = await readNpyHeader(new ByteQueue(file.pieces()), path);
    return { name, place: path, header, open: () => reopened(path) };
  } finally {
    await file.close();
  }
}

async function reopened(path: string): Promise<ByteQueue> {
  async function* pieces() {
    const file = await openRegular(path);
    try {
      yield* file.pieces();
    } finally {
      await file.close();
    }
  }
  const bytes = new ByteQueue(pieces());
  await readNpyHeader(bytes, path);
  return bytes;
}

async function paired(path: string, arrays: readonly ArrayFile[]): Promise<SampleSource> {
  return { ...sourceOf(path, arrays), input: 'input', target: 'target' };
}

function absent(path: string, name: string): never {
  throw new DataError(`${path}: there is no array '${name}'`);
}

function sourceOf(path: string, arrays: readonly ArrayFile[]): SampleSource {
  const fields = arrays.map(
    ({ name, header: { shape, kind } }): SourceField => ({
      name,
      kind: shape.length > 1 ? 'array' : 'value',
      ...(kind !== 'text' && { numbers: kind }),
    }),
  );
  return {
    place: path,
    fields,
    async *samples(names) {
      const chosen = names.map((name) => arrays.find((array) => array.name === name) ?? absent(path, name));
      const [first, ...others] = chosen;
      for (const other of others) {
        if (other.header.shape[0] !== first!.header.shape[0])
          throw new DataError(
            `${path}: '${first!.name}' has ${first!.header.shape[0]} rows and '${other.name}' ${other.header.shape[0]}. Give arrays with a row for each sample`,
          );
      }
      const opened: ByteQueue[] = [];
      try {
        for (const array of chosen) opened.push(await array.open());
        const rows = chosen.map((array, at) => npyRows(opened[at]!, array.header, array.place));
        for (let row = 0; row < first!.header.shape[0]!; row++) {
          const values = [];
          for (const each of rows) values.push((await each.next()).value!);
          yield { place: `${path}, row ${row}`, values };
        }
      } finally {
        for (const bytes of opened) await bytes.close();
      }
    },
  };
}
