/**
 * Whether the write-ahead log beside a database is one, and whole (https://sqlite.org/fileformat2.html#walformat). SQLite takes a log
 * that it cannot read for an empty one, and writes over it: what had been committed to it would be lost without a word.
 */
import { closeSync, openSync, readSync } from 'node:fs';

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
/** The last bit says the byte order of the checksums. */
const MAGIC = 0x377f0682;
/** A log is checked this far: SQLite keeps it at about 4 MiB unless somebody reads for hours. */
const CHECKED_BYTES = 64 << 20;

/** What is wrong with a log; undefined when nothing is. A last transaction that was cut short is in order after a crash. */
export function faultOfLog(path: string): string | undefined {
  const log = readStart(path);
  // Empty, or made and never written to.
  if (log.subarray(0, HEADER_BYTES).every((byte) => byte === 0)) return undefined;
  if (log.length < HEADER_BYTES || (log.readUInt32BE(0) & ~1) >>> 0 !== MAGIC)
    return 'it is not an SQLite write-ahead log';
  const sums = new Checksum((log.readUInt32BE(0) & 1) === 1);
  sums.add(log.subarray(0, 24));
  if (!sums.equal(log, 24)) return 'its header is damaged';
  const frameBytes = FRAME_HEADER_BYTES + log.readUInt32BE(8);
  let isWhole = true;
  let commitsAfter = 0;
  for (let at = HEADER_BYTES; at + frameBytes <= log.length; at += frameBytes) {
    const frame = log.subarray(at, at + frameBytes);
    // Frames with other salts are left of what the log held before.
    const isOurs = frame.subarray(8, 16).equals(log.subarray(16, 24));
    if (isWhole) {
      if (isOurs) {
        sums.add(frame.subarray(0, 8));
        sums.add(frame.subarray(FRAME_HEADER_BYTES));
      }
      isWhole = isOurs && sums.equal(frame, 16);
    }
    if (!isWhole && isOurs && frame.readUInt32BE(4) > 0) commitsAfter++;
  }
  // Each commit was synced before the next one was written: only the last may be torn.
  return commitsAfter > 1 ? 'committed transactions in it are damaged' : undefined;
}

function readStart(path: string): Buffer {
  const file = openSync(path, 'r');
  try {
    const chunks: Buffer[] = [];
    for (let at = 0; at < CHECKED_BYTES; ) {
      const chunk = Buffer.alloc(1 << 20);
      const bytes = readSync(file, chunk, 0, chunk.length, at);
      if (bytes === 0) break;
      chunks.push(chunk.subarray(0, bytes));
      at += bytes;
    }
    return Buffer.concat(chunks);
  } finally {
    closeSync(file);
  }
}

/** SQLite's running checksum of a log. */
class Checksum {
  #first = 0;
  #second = 0;
  readonly #bigEndian: boolean;

  constructor(bigEndian: boolean) {
    this.#bigEndian = bigEndian;
  }

  add(bytes: Buffer): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let [first, second] = [this.#first, this.#second];
    for (let at = 0; at + 8 <= bytes.length; at += 8) {
      first = (first + view.getUint32(at, !this.#bigEndian) + second) >>> 0;
      second = (second + view.getUint32(at + 4, !this.#bigEndian) + first) >>> 0;
    }
    [this.#first, this.#second] = [first, second];
  }

  equal(bytes: Buffer, at: number): boolean {
    return bytes.readUInt32BE(at) === this.#first && bytes.readUInt32BE(at + 4) === this.#second;
  }
}
