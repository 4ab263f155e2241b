/** .npz files: ZIP archives of NumPy arrays. All of yauzl. */
import { Readable } from 'node:stream';
import type { RegularFile } from '@kasane/tensor/internal/node/regular-file';
import { FileError } from '@kasane/tensor/internal/node/regular-file';
import { type Entry, fromRandomAccessReaderPromise, RandomAccessReader, type ZipFile } from 'yauzl';
import { DataError } from '../dataset.ts';
import { openRegular } from '../files/regular-file.ts';
import type { ArrayFile } from './array-files.ts';
import { ByteQueue } from './byte-queue.ts';
import { readNpyHeader } from './npy.ts';

/** Entries of an archive. */
const MOST_ENTRIES = 10_000;

class FileReader extends RandomAccessReader {
  readonly #file: RegularFile;

  constructor(file: RegularFile) {
    super();
    this.#file = file;
  }

  override _readStreamForRange(start: number, end: number): Readable {
    const file = this.#file;
    async function* pieces() {
      for (let at = start; at < end; at += 1 << 16) yield await file.read(at, Math.min(1 << 16, end - at));
    }
    return Readable.from(pieces(), { objectMode: false });
  }
}

/** @throws DataError */
export async function openNpz(path: string): Promise<readonly ArrayFile[]> {
  const arrays: ArrayFile[] = [];
  await withZip(path, async (zip) => {
    for await (const entry of zip.eachEntry()) {
      const name = /^(.+)\.npy$/.exec(entry.fileName)?.[1];
      if (name === undefined) continue;
      if (arrays.length === MOST_ENTRIES) throw new DataError(`${path}: more than ${MOST_ENTRIES} arrays`);
      const place = `${path}, array ${name}`;
      const bytes = new ByteQueue(orDamaged(path, await zip.openReadStreamPromise(entry)));
      const header = await readNpyHeader(bytes, place);
      await bytes.close();
      arrays.push({ name, place, header, open: () => reopened(path, entry, place) });
    }
  });
  if (arrays.length === 0) throw new DataError(`${path}: it contains no arrays (.npy)`);
  return arrays;
}

async function reopened(path: string, entry: Entry, place: string): Promise<ByteQueue> {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    const file = await openRegular(path);
    try {
      const zip = await opened(path, file);
      yield* orDamaged(path, await zip.openReadStreamPromise(entry));
    } catch (error) {
      throw damaged(path, error);
    } finally {
      await file.close();
    }
  }
  const bytes = new ByteQueue(pieces());
  await readNpyHeader(bytes, place);
  return bytes;
}

const opened = (path: string, file: RegularFile): Promise<ZipFile> => {
  if (file.size === 0) throw new DataError(`${path}: it is empty`);
  return fromRandomAccessReaderPromise(new FileReader(file), file.size, {
    autoClose: false,
    lazyEntries: true,
  });
};

async function withZip(path: string, body: (zip: ZipFile) => Promise<void>): Promise<void> {
  const file = await openRegular(path);
  try {
    await body(await opened(path, file));
  } catch (error) {
    throw damaged(path, error);
  } finally {
    await file.close();
  }
}

async function* orDamaged(path: string, pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* pieces;
  } catch (error) {
    throw damaged(path, error);
  }
}

function damaged(path: string, error: unknown): DataError {
  if (error instanceof DataError) return error;
  if (error instanceof FileError) return new DataError(error.message, { cause: error });
  const why = String((error as Error).message)
    .replace(/\s+/g, ' ')
    .slice(0, 120);
  return new DataError(
    `${path}: it is no whole ZIP archive, as .npz files are (${why}). Copy or save it again`,
    { cause: error },
  );
}
