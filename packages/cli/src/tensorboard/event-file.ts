/**
 * Files of events as TensorBoard reads them: records of TFRecord, each an `Event` message of tensorflow/core/util/event.proto.
 *
 *     record = length (u64) | masked CRC of the length (u32) | data | masked CRC of the data (u32)      little-endian
 *     masked CRC = rotr(crc32c, 15) + 0xa282ead8
 *
 * Only what is needed of the messages is written: Event { double wall_time = 1; int64 step = 2; string file_version = 3;
 * Summary summary = 5 }, Summary { repeated Value value = 1 }, Value { string tag = 1; float simple_value = 2 }.
 */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { RecordFile } from '@kasane/tensor/internal/node/record-file';

/** CRC-32C (Castagnoli), a byte at a time: event files are small. */
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  return crc;
});

export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ table[(crc ^ byte) & 0xff]!;
  return (crc ^ 0xffffffff) >>> 0;
}

function masked(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** What stands before a field in protobuf. */
const tag = (field: number, type: WireType) => (field << 3) | type;

/** Begins an `Event` at a time in milliseconds since 1970. */
const event = (time: number) => new BinaryWriter().uint32(tag(1, WireType.Bit64)).double(time / 1000);

function recordOf(written: BinaryWriter): Uint8Array {
  const data = written.finish();
  const record = Buffer.alloc(16 + data.length);
  record.writeBigUInt64LE(BigInt(data.length), 0);
  record.writeUInt32LE(masked(record.subarray(0, 8)), 8);
  record.set(data, 12);
  record.writeUInt32LE(masked(data), 12 + data.length);
  return record;
}

/** Numbers by tag. */
export type Scalars = Readonly<Record<string, number>>;

export class EventFile {
  readonly path: string;
  readonly #file: RecordFile;

  /**
   * Begins a new file in `folder`, which is made when missing. TensorBoard joins the files of a folder.
   * @param now milliseconds since 1970
   * @param onTrouble hears once that the disk refuses what is to be written, and once that the file was deleted
   * @throws the system's error, with the path, when the file cannot be begun
   */
  constructor(folder: string, now: number, onTrouble: (what: string) => void) {
    const seconds = String(Math.floor(now / 1000)).padStart(10, '0');
    this.path = join(folder, `events.out.tfevents.${seconds}.${hostname()}.${process.pid}.kasane`);
    const version = event(now).uint32(tag(3, WireType.LengthDelimited)).string('brain.Event:2');
    this.#file = new RecordFile(this.path, { head: recordOf(version), onTrouble });
  }

  /** @param time milliseconds since 1970 */
  scalars(step: number, time: number, values: Scalars): void {
    if (Object.keys(values).length === 0) return;
    const written = event(time).uint32(tag(2, WireType.Varint)).int64(step);
    written.uint32(tag(5, WireType.LengthDelimited)).fork();
    for (const [name, value] of Object.entries(values)) {
      written.uint32(tag(1, WireType.LengthDelimited)).fork();
      written.uint32(tag(1, WireType.LengthDelimited)).string(name);
      written.uint32(tag(2, WireType.Bit32)).float(value);
      written.join();
    }
    this.#file.write(recordOf(written.join()));
  }

  close(): void {
    this.#file.close();
  }
}
