/** Reads packed data, from a folder or over http. Memory is bounded whatever the size: small sets are kept, others read by sample. */

import { lstat, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { counted } from '@kasane/tensor/internal/counted';
import { fieldBytes } from '@kasane/tensor/internal/field';
import { kindOfPath, type RegularFile, statRegular } from '@kasane/tensor/internal/node/regular-file';
import { DataError, type DataParts, type Dataset, notFound } from '../dataset.ts';
import { type Access, checkPath, isS3 } from '../files/access.ts';
import { openRegular, readRegular } from '../files/regular-file.ts';
import { readApart } from '../read-apart.ts';
import { sha256InTurns } from './digest.ts';
import { cacheSettings, DiskCache } from './disk-cache.ts';
import {
  CHUNKS_FOLDER,
  INDEX_BYTES,
  INDEX_FILE,
  type IndexRead,
  nameOf,
  type PartRead,
  readIndex,
  recordBytes,
  samplesOf,
} from './packed-index.ts';
import { fetchFile, isUrl } from './remote.ts';

/** A part whose chunks take no more bytes than this together is kept in memory, as it is read. */
const KEPT_BYTES = 256 << 20;
/** An index of so many bytes is read in a moment, without a thread for it. */
const SMALL_INDEX = 1 << 18;
/** Files of a larger part that are open at once. */
const OPEN_FILES = 64;

export interface OpenedPack extends DataParts {
  /** SHA-256 of index.json: decides everything in it. */
  readonly digest: string;
}

/**
 * @param place folder, or http(s) URL of one
 * @param expected digest that the index must have; undefined: nobody knows
 * @param access what may be read
 * @throws DataError
 */
export async function openPacked(
  place: string,
  expected: string | undefined,
  access: Access,
): Promise<OpenedPack> {
  const remote = isUrl(place);
  if (isS3(place)) checkPath(place, access, 'data.path');
  if (!remote) {
    checkPath(place, access, 'data.path');
    checkPath(join(place, INDEX_FILE), access, 'data.path');
  }
  const root = place.replace(/\/+$/, '');
  const indexPlace = remote ? `${root}/${INDEX_FILE}` : join(place, INDEX_FILE);
  const bytes = remote
    ? await fetchFile(indexPlace, INDEX_BYTES, access)
    : await bytesOfIndex(place, indexPlace);
  const index =
    bytes.length <= SMALL_INDEX
      ? readIndex(bytes, indexPlace, expected)
      : await readApart(
          { format: 'index of packed data', bytes, path: indexPlace, expected },
          // What it reads is in memory.
          { roots: access.roots },
          [bytes.buffer as ArrayBuffer],
        );
  if (!remote) await requireChunks(place, index, access);
  // Chunks are fetched long after whoever opened it has gone.
  const { signal: _, ...later } = access;
  const cache = remote ? new DiskCache(cacheSettings()) : undefined;
  const files: ChunkFiles = {
    path: async (chunk, size) => {
      if (!cache) return join(place, CHUNKS_FOLDER, chunk);
      return cache.path(chunk, async () => {
        const url = `${root}/${CHUNKS_FOLDER}/${chunk}`;
        return checked(await fetchFile(url, size, later), chunk, size, url);
      });
    },
    forget: async (chunk) => cache?.forget(chunk),
  };
  const part = (name: 'train' | 'test') => packedDataset(index[name], index, files, `${indexPlace}: ${name}`);
  const { preparation, digest, shared } = index;
  const notes =
    shared > 0
      ? [
          `${place}: ${counted(shared, 'chunk')} of the test data ${shared === 1 ? 'is' : 'are'} also in the training data, so the test says little about new samples`,
        ]
      : [];
  return { train: part('train'), test: part('test'), preparation, digest, notes };
}

/** Whether something is packed data, as far as its place tells. */
export const looksPacked = (place: string): boolean =>
  isUrl(place) ||
  (kindOfPath(join(place, INDEX_FILE)) === 'file' && kindOfPath(join(place, CHUNKS_FOLDER)) === 'folder');

interface ChunkFiles {
  /** Where the chunk is on disk; fetched first where it must be. */
  path(chunk: string, size: number): Promise<string>;
  forget(chunk: string): Promise<void>;
}

async function bytesOfIndex(folder: string, path: string): Promise<Buffer> {
  if (kindOfPath(folder) === 'nothing')
    throw notFound(`${folder}: folder not found; expected one that \`kasane data pack\` has written`);
  if (kindOfPath(path) === 'nothing')
    throw new DataError(
      `${folder}: it contains no packed data (no ${INDEX_FILE}). Create it with \`kasane data pack\``,
    );
  return readRegular(path, INDEX_BYTES);
}

/** That all chunks are there in their size: a copy that was interrupted lacks some, which a training would find out only when it comes to them. */
async function requireChunks(folder: string, index: IndexRead, access: Access): Promise<void> {
  checkPath(join(folder, CHUNKS_FOLDER), access, 'data.path');
  for (const part of [index.train, index.test]) {
    for (let chunk = 0; chunk * index.chunkSamples < part.samples; chunk++) {
      access.signal?.throwIfAborted();
      const path = join(folder, CHUNKS_FOLDER, nameOf(part, chunk));
      const size = samplesOf(part, chunk, index.chunkSamples) * recordBytes(index);
      let found = await lstat(path).catch(() => undefined);
      if (found?.isSymbolicLink()) {
        checkPath(path, access, 'data.path');
        found = await stat(path).catch(() => undefined);
      }
      if (!found)
        throw new DataError(
          `${path}: file not found, so this copy of the packed data is incomplete. Copy it again, or pack the data again with \`kasane data pack\``,
        );
      if (found.isFile() && found.size !== size) throw damaged(path, found.size, size);
      if (!found.isFile()) statRegular(path);
    }
  }
}

const damaged = (place: string, bytes: number, size: number) =>
  new DataError(
    `${place}: it is damaged: ${counted(bytes, 'byte')} of ${size}, or its content does not match its name. Copy it again, or pack the data again with \`kasane data pack\``,
  );

async function checked<T extends Uint8Array>(
  bytes: T,
  chunk: string,
  size: number,
  place: string,
): Promise<T> {
  if (bytes.length === size && (await sha256InTurns(bytes)) === chunk) return bytes;
  throw damaged(place, bytes.length, size);
}

/** @param place of the part in the index, for messages */
function packedDataset(part: PartRead, index: IndexRead, files: ChunkFiles, place: string): Dataset {
  const { input, target, chunkSamples } = index;
  const [targetBytes, inputBytes, size] = [fieldBytes(target), fieldBytes(input), recordBytes(index)];
  const records = new Records(part, chunkSamples, size, files);
  const isLabel = target.dtype === 'i32' && target.shape.length === 0 && part.classes !== undefined;
  const requireLabel = (record: Uint8Array, sample: number) => {
    const label = new DataView(record.buffer, record.byteOffset).getInt32(0, true);
    if (label < part.classes!) return;
    throw new DataError(
      `${place}: sample ${sample} has label ${label}, but there are ${counted(part.classes!, 'class', 'classes')}. Pack the data again with \`kasane data pack\``,
    );
  };
  return {
    samples: part.samples,
    input,
    target,
    ...(part.classes !== undefined && { classes: part.classes }),
    ...(part.counts && { counts: part.counts }),
    ...(part.ranges && { ranges: part.ranges }),
    digest: part.digest,
    gather: async (indices, inputs, targets) => {
      // In the order in which they lie in the files.
      const order = Array.from(indices, (at, i) => ({ at, i })).sort((a, b) => a.at - b.at);
      const record = new Uint8Array(size);
      for (const { at, i } of order) {
        if (at >= part.samples) throw new RangeError(`sample ${at} of ${part.samples}`);
        const found = records.kept(at) ?? (await records.read(at, record));
        if (isLabel) requireLabel(found, at);
        targets.set(found.subarray(0, targetBytes), i * targetBytes);
        inputs.set(found.subarray(targetBytes), i * inputBytes);
      }
    },
  };
}

/** The records of a part. A chunk is checked against its name when it is first used. */
class Records {
  readonly #part: PartRead;
  readonly #chunkSamples: number;
  readonly #size: number;
  readonly #files: ChunkFiles;
  readonly #keeps: boolean;
  readonly #chunks = new Map<number, Buffer>();
  readonly #seen = new Set<number>();
  /** Least recently used first. */
  readonly #open = new Map<number, RegularFile>();

  constructor(part: PartRead, chunkSamples: number, size: number, files: ChunkFiles) {
    this.#part = part;
    this.#chunkSamples = chunkSamples;
    this.#size = size;
    this.#files = files;
    this.#keeps = part.samples * size <= KEPT_BYTES;
  }

  /** The record of a sample whose chunk is in memory. */
  kept(sample: number): Uint8Array | undefined {
    const chunk = Math.floor(sample / this.#chunkSamples);
    return this.#slice(this.#chunks.get(chunk), sample);
  }

  async read(sample: number, into: Uint8Array): Promise<Uint8Array> {
    const chunk = Math.floor(sample / this.#chunkSamples);
    if (this.#keeps || !this.#seen.has(chunk)) {
      const bytes = await this.#whole(chunk);
      if (this.#keeps) this.#chunks.set(chunk, bytes);
      this.#seen.add(chunk);
      return this.#slice(bytes, sample)!;
    }
    const file = await this.#file(chunk);
    await file.readInto(into, (sample % this.#chunkSamples) * this.#size);
    return into;
  }

  #slice(bytes: Buffer | undefined, sample: number): Uint8Array | undefined {
    const at = (sample % this.#chunkSamples) * this.#size;
    return bytes?.subarray(at, at + this.#size);
  }

  async #whole(chunk: number): Promise<Buffer> {
    const name = nameOf(this.#part, chunk);
    const size = samplesOf(this.#part, chunk, this.#chunkSamples) * this.#size;
    for (let attempt = 1; ; attempt++) {
      const path = await this.#files.path(name, size);
      try {
        return await checked(await readRegular(path, size), name, size, path);
      } catch (error) {
        // What lies in a cache may have been damaged there: once more from its source.
        await this.#files.forget(name);
        if (attempt === 2) throw error;
      }
    }
  }

  async #file(chunk: number): Promise<RegularFile> {
    const known = this.#open.get(chunk);
    if (known) {
      this.#open.delete(chunk);
      this.#open.set(chunk, known);
      return known;
    }
    const size = samplesOf(this.#part, chunk, this.#chunkSamples) * this.#size;
    const file = await openRegular(await this.#files.path(nameOf(this.#part, chunk), size));
    this.#open.set(chunk, file);
    if (this.#open.size > OPEN_FILES) {
      const [oldest, handle] = this.#open.entries().next().value!;
      this.#open.delete(oldest);
      await handle.close();
    }
    return file;
  }
}
