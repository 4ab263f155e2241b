/**
 * Files of events as TensorBoard reads them: records of TFRecord, each an `Event` message of tensorflow/core/util/event.proto.
 *
 *     record = length (u64) | masked CRC of the length (u32) | data | masked CRC of the data (u32)      little-endian
 *     masked CRC = rotr(crc32c, 15) + 0xa282ead8
 *
 * Only what is needed of the messages is written, by hand: Event { double wall_time = 1; int64 step = 2; string file_version = 3;
 * Summary summary = 5 }, Summary { repeated Value value = 1 }, Value { string tag = 1; float simple_value = 2 }.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { makeFolders } from '@kasane/tensor/internal/node/make-folders';

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

/** Numbers by tag. */
export type Scalars = Readonly<Record<string, number>>;

export class EventFile {
  readonly path: string;
  readonly #file: number;

  /**
   * Begins a new file in `folder`, which is made when missing. TensorBoard joins the files of a folder.
   * @param now milliseconds since 1970
   */
  constructor(folder: string, now: number) {
    makeFolders(folder);
    const seconds = String(Math.floor(now / 1000)).padStart(10, '0');
    this.path = join(folder, `events.out.tfevents.${seconds}.${hostname()}.${process.pid}.kasane`);
    this.#file = openSync(this.path, 'a');
    this.#write(Buffer.concat([double(1, now / 1000), bytes(3, Buffer.from('brain.Event:2'))]));
  }

  /** @param time milliseconds since 1970 */
  scalars(step: number, time: number, values: Scalars): void {
    const summary = Object.entries(values).map(([tag, value]) =>
      bytes(1, Buffer.concat([bytes(1, Buffer.from(tag)), float(2, value)])),
    );
    if (summary.length === 0) return;
    this.#write(
      Buffer.concat([double(1, time / 1000), key(2, 0), varint(step), bytes(5, Buffer.concat(summary))]),
    );
  }

  close(): void {
    closeSync(this.#file);
  }

  /** A record is written at once, so that a reader never sees half of one for long. */
  #write(data: Buffer): void {
    const record = Buffer.alloc(16 + data.length);
    record.writeBigUInt64LE(BigInt(data.length), 0);
    record.writeUInt32LE(masked(record.subarray(0, 8)), 8);
    data.copy(record, 12);
    record.writeUInt32LE(masked(data), 12 + data.length);
    writeSync(this.#file, record);
  }
}

/** A protobuf field's number and wire type: 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes. */
const key = (field: number, wire: 0 | 1 | 2 | 5) => varint((field << 3) | wire);

function varint(value: number): Buffer {
  const found: number[] = [];
  let rest = value;
  while (rest >= 128) {
    found.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  return Buffer.from([...found, rest]);
}

function double(field: number, value: number): Buffer {
  const number = Buffer.alloc(8);
  number.writeDoubleLE(value);
  return Buffer.concat([key(field, 1), number]);
}

function float(field: number, value: number): Buffer {
  const number = Buffer.alloc(4);
  number.writeFloatLE(value);
  return Buffer.concat([key(field, 5), number]);
}

const bytes = (field: number, value: Buffer) => Buffer.concat([key(field, 2), varint(value.length), value]);
