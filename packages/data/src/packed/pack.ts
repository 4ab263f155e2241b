/** Writes packed data from whatever can be opened. */
import { basename } from 'node:path';
import { fieldBytes } from '@kasane/tensor/internal/field';
import { type DataParts, type Dataset, readSamples } from '../dataset.ts';
import type { TargetRange } from '../target-range.ts';
import { type ChunkForm, ChunkWriter } from './chunk-writer.ts';
import { requireRoom, writeIndex } from './packed-folder.ts';
import { CHUNK_BYTES, type PackedPart, recordBytes } from './packed-index.ts';

/**
 * Packs both parts into a folder, the index last: without it there is no packed data. Chunks that are there already are kept.
 * @param onChunk called after each chunk with the samples packed so far, and all of them
 * @param chunkBytes of a chunk, about
 * @returns SHA-256 of the index
 * @throws DataError when there is an index or anything else in the folder already, or the data is damaged
 */
export async function packData(
  data: DataParts,
  folder: string,
  onChunk: (done: number, all: number) => void = () => {},
  chunkBytes = CHUNK_BYTES,
): Promise<string> {
  requireRoom(folder);
  const { train, test, preparation } = data;
  const { input, target } = train;
  const chunkSamples = Math.max(1, Math.floor(chunkBytes / recordBytes(train)));
  const all = train.samples + test.samples;
  let done = 0;
  const pack = (part: Dataset) =>
    packPart(part, {
      ...{ folder, chunkSamples, recordBytes: recordBytes(train) },
      onChunk: (samples) => {
        done += samples;
        onChunk(done, all);
      },
    });
  return writeIndex(folder, {
    input,
    target,
    chunkSamples,
    preparation,
    train: await pack(train),
    test: await pack(test),
  });
}

/** The same data gives the same index, wherever it was packed. */
const withoutFolders = ({ name, least, most }: TargetRange): TargetRange => ({
  name,
  least: { ...least, at: basename(least.at) },
  most: { ...most, at: basename(most.at) },
});

async function packPart(part: Dataset, form: ChunkForm): Promise<PackedPart> {
  const [targetBytes, inputBytes] = [fieldBytes(part.target), fieldBytes(part.input)];
  const writer = new ChunkWriter(form);
  for (let first = 0; first < part.samples; first += form.chunkSamples) {
    const count = Math.min(form.chunkSamples, part.samples - first);
    const indices = Uint32Array.from({ length: count }, (_, i) => first + i);
    const { inputs, targets } = await readSamples(part, indices);
    for (let i = 0; i < count; i++) {
      writer.next.set(targets.subarray(i * targetBytes, (i + 1) * targetBytes));
      writer.next.set(inputs.subarray(i * inputBytes, (i + 1) * inputBytes), targetBytes);
      await writer.added();
    }
  }
  const { samples, classes, counts, ranges } = part;
  return {
    samples,
    ...(classes !== undefined && { classes }),
    ...(counts && { counts }),
    ...(ranges && { ranges: ranges.map(withoutFolders) }),
    chunks: await writer.end(),
  };
}
