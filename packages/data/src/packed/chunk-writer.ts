/** Writes the chunks of one part of packed data, record by record. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolders } from '@kasane/tensor/internal/node/make-folders';
import { writeWholeFile } from '../files/whole-file.ts';
import { CHUNKS_FOLDER, digestOf } from './packed-index.ts';

/** How chunks are written: into which folder, and how much each of them holds. */
export interface ChunkForm {
  readonly folder: string;
  /** Records of a chunk. */
  readonly chunkSamples: number;
  /** Bytes of a record. */
  readonly recordBytes: number;
  /** Called after each chunk, with its samples. */
  readonly onChunk: (samples: number) => void;
}

export class ChunkWriter {
  readonly #form: ChunkForm;
  readonly #digests: string[] = [];
  readonly #bytes: Uint8Array;
  #held = 0;

  constructor(form: ChunkForm) {
    this.#form = form;
    this.#bytes = new Uint8Array(form.chunkSamples * form.recordBytes);
  }

  /** Where the next record goes: fill all of it in, then call `added`. */
  get next(): Uint8Array {
    const { recordBytes } = this.#form;
    return this.#bytes.subarray(this.#held * recordBytes, (this.#held + 1) * recordBytes);
  }

  /** The record is there. Writes the chunk if that was its last. */
  async added(): Promise<void> {
    this.#held++;
    if (this.#held === this.#form.chunkSamples) await this.#write();
  }

  /** Writes what is left. @returns SHA-256 of each chunk, in order */
  async end(): Promise<readonly string[]> {
    if (this.#held > 0) await this.#write();
    return this.#digests;
  }

  async #write(): Promise<void> {
    const { folder, recordBytes, onChunk } = this.#form;
    const bytes = this.#bytes.subarray(0, this.#held * recordBytes);
    const digest = digestOf(bytes);
    const path = join(folder, CHUNKS_FOLDER, digest);
    // Of a packing that was interrupted, or of samples that are the same.
    if (!existsSync(path)) {
      makeFolders(join(folder, CHUNKS_FOLDER));
      await writeWholeFile(path, bytes);
    }
    this.#digests.push(digest);
    onChunk(this.#held);
    this.#held = 0;
  }
}
