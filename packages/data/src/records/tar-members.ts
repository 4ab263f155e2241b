/** Members of tar archives, plain or gzipped, one after the other. All of modern-tar. */
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { FileError } from '@kasane/tensor/internal/node/regular-file';
import { createTarDecoder } from 'modern-tar';
import { DataError } from '../dataset.ts';
import { openRegular } from '../files/regular-file.ts';

export interface Member {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Bytes of one member: it is in memory as a whole. */
const MEMBER_BYTES = 1 << 28;

/**
 * The files of an archive that are wanted, in their order; what is no file is left out.
 * @throws DataError naming the archive, and the member where it is its fault
 */
export async function* tarMembers(path: string, wants: (name: string) => boolean): AsyncGenerator<Member> {
  const file = await openRegular(path);
  try {
    if (file.size === 0) throw new DataError(`${path}: it is empty`);
    const head = await file.read(0, 2);
    const plain = head[0] === 0x1f && head[1] === 0x8b ? unpacked(file.pieces()) : file.pieces();
    const stream = Readable.toWeb(Readable.from(plain)) as ReadableStream<Uint8Array<ArrayBuffer>>;
    for await (const { header, body } of stream.pipeThrough(createTarDecoder({ strict: true }))) {
      if ((header.type !== undefined && header.type !== 'file') || !wants(header.name)) {
        await body.cancel();
        continue;
      }
      if (header.size > MEMBER_BYTES)
        throw new DataError(
          `${path}, ${header.name}: ${header.size} bytes; at most ${MEMBER_BYTES} are supported`,
        );
      const pieces: Uint8Array[] = [];
      for await (const piece of body) pieces.push(piece);
      yield { name: header.name, bytes: Buffer.concat(pieces) };
    }
  } catch (error) {
    if (error instanceof DataError) throw error;
    if (error instanceof FileError) throw new DataError(error.message, { cause: error });
    const why = String((error as Error).message)
      .replace(/\s+/g, ' ')
      .slice(0, 120);
    throw new DataError(`${path}: it is no whole tar archive (${why}). Copy or write it again`, {
      cause: error,
    });
  } finally {
    await file.close();
  }
}

function unpacked(pieces: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const gunzip = createGunzip();
  // What goes wrong reaches whoever reads it.
  pipeline(pieces, gunzip, () => {});
  return gunzip;
}
