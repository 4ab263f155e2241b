/**
 * Memory that processes of one machine share, so that tensors between them are copied in and out once instead of going
 * through a socket: a file in Linux's memory file system that loses its name as soon as it is open. Others open it by its
 * owner's file descriptor, so nothing can be left behind, whoever is killed. A key at its start tells whether what was found
 * there is what was meant. Where it cannot be had (another machine, another container, another user, another system), tensors
 * travel over the data link.
 *
 *     byte  0  key, 32 bytes
 *          64  parameters: two places of {version + 1 as float64; the floats}, by version modulo 2. The number is written before the floats
 *              or gradients: places of the floats, which cost memory once they are written
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  statfsSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { SHARED_MEMORY_BYTES } from '../limits.ts';
import { bytesOf } from './frame.ts';

const FOLDER = '/dev/shm';
const KEY_BYTES = 32;
const START = 64;
const MARK_BYTES = 8;

/** What another process needs to open it. */
export interface SharedMemoryAddress {
  readonly path: string;
  readonly key: Uint8Array;
}

class SharedMemory implements SharedMemoryAddress {
  readonly path: string;
  readonly key: Uint8Array;
  readonly #file: number;
  #closed = false;

  private constructor(file: number, path: string, key: Uint8Array) {
    this.#file = file;
    this.path = path;
    this.key = key;
  }

  /**
   * Undefined where there is none: no Linux, no room, or more than the limit.
   * @param pieceBytes it consists of pieces
   * @param most of which it has as many as there is room for, up to this number
   * @param least and no fewer than this
   */
  static create(pieceBytes: number, most: number, least = most): SharedMemory | undefined {
    let file: number | undefined;
    try {
      const { bavail, bsize } = statfsSync(FOLDER);
      const room = Math.min(SHARED_MEMORY_BYTES, (bavail * bsize) / 4);
      const pieces = Math.min(most, Math.floor(room / pieceBytes));
      if (pieces < least) return undefined;
      const key = randomBytes(KEY_BYTES);
      const name = `${FOLDER}/kasane-${key.toString('hex', 0, 8)}`;
      file = openSync(name, 'wx+', 0o600);
      unlinkSync(name);
      ftruncateSync(file, START + pieces * pieceBytes);
      writeSync(file, key, 0, KEY_BYTES, 0);
      return new SharedMemory(file, `/proc/${process.pid}/fd/${file}`, key);
    } catch {
      if (file !== undefined) closeSync(file);
      return undefined;
    }
  }

  /** @throws Error when it is not there, or is another one */
  static open({ path, key }: SharedMemoryAddress): SharedMemory {
    // Whatever a coordinator says, a worker opens nothing but the memory of a process.
    if (!/^\/proc\/\d+\/fd\/\d+$/.test(path)) throw new Error(`'${path}' is not shared memory`);
    const file = openSync(path, 'r+');
    const found = Buffer.alloc(KEY_BYTES);
    if (readSync(file, found, 0, KEY_BYTES, 0) === KEY_BYTES && key.length === KEY_BYTES) {
      if (timingSafeEqual(found, key)) return new SharedMemory(file, path, key);
    }
    closeSync(file);
    throw new Error(`${path} is a different file: not on the same machine or in the same container`);
  }

  /** Bytes that it has for tensors. */
  get bytes(): number {
    return fstatSync(this.#open).size - START;
  }

  /** The descriptor. Once it is closed, its number may be that of any other file. @throws Error when it is closed */
  get #open(): number {
    if (this.#closed) throw new Error('shared memory is closed');
    return this.#file;
  }

  /** @throws Error when the memory file system is full, or it is closed */
  write(position: number, bytes: Uint8Array): void {
    if (writeSync(this.#open, bytes, 0, bytes.length, START + position) !== bytes.length)
      throw new Error('shared memory is full');
  }

  /** @throws Error when there are not so many bytes, or it is closed */
  read(position: number, into: Uint8Array): void {
    if (readSync(this.#open, into, 0, into.length, START + position) !== into.length)
      throw new Error(`shared memory ends before byte ${position + into.length}`);
  }

  /** Safe to call twice. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#file);
  }
}

/** Versions of a flat parameter vector, written by the coordinator, read by workers. */
export class SharedParameters {
  readonly #memory: SharedMemory;
  readonly #bytes: number;
  readonly #mark = new Float64Array(1);
  readonly #markBytes = new Uint8Array(this.#mark.buffer);

  private constructor(memory: SharedMemory, floats: number) {
    this.#memory = memory;
    this.#bytes = 4 * floats;
  }

  /** Undefined where there is not shared memory. */
  static create(floats: number): SharedParameters | undefined {
    const memory = SharedMemory.create(MARK_BYTES + 4 * floats, 2);
    return memory && new SharedParameters(memory, floats);
  }

  /** @throws Error */
  static open(address: SharedMemoryAddress, floats: number): SharedParameters {
    return new SharedParameters(SharedMemory.open(address), floats);
  }

  get address(): SharedMemoryAddress {
    return this.#memory;
  }

  /** Gives a version the place of version - 2; `write` fills it. @throws Error when there is no room */
  begin(version: number): void {
    this.#mark[0] = version + 1;
    this.#memory.write(this.#place(version), this.#markBytes);
  }

  /** Writes bytes from `offset` on of the version that was begun last. @throws Error when there is no room */
  write(version: number, offset: number, values: Uint8Array): void {
    this.#memory.write(this.#place(version) + MARK_BYTES + offset, values);
  }

  /**
   * Copies bytes [offset, offset + into.length) of a version, which have been written. False when a later version has taken its
   * place, before or meanwhile: `into` then holds anything.
   */
  read(version: number, offset: number, into: Uint8Array): boolean {
    this.#memory.read(this.#place(version) + MARK_BYTES + offset, into);
    this.#memory.read(this.#place(version), this.#markBytes);
    return this.#mark[0] === version + 1;
  }

  close(): void {
    this.#memory.close();
  }

  #place(version: number): number {
    return (version % 2) * (MARK_BYTES + this.#bytes);
  }
}

/** A place for one gradient. */
export class GradientPlace {
  readonly #memory: SharedMemory;
  readonly #position: number;

  constructor(memory: SharedMemory, position: number) {
    this.#memory = memory;
    this.#position = position;
  }

  /** Writes floats from `offset` on. @throws Error when there is no room */
  write(offset: number, floats: Float32Array): void {
    this.#memory.write(this.#position + 4 * offset, bytesOf(floats));
  }

  /** Copies floats from `offset` on. */
  read(offset: number, into: Float32Array): void {
    this.#memory.read(this.#position + 4 * offset, bytesOf(into));
  }
}

/**
 * Gradients of one worker, written by it, read by the coordinator when it adds them. A worker fills the places of each step anew,
 * from the first one on: it has the parameters of a step only once the gradients of the step before have been added.
 */
export class SharedGradients {
  readonly #memory: SharedMemory;
  readonly places: readonly GradientPlace[];

  private constructor(memory: SharedMemory, floats: number) {
    this.#memory = memory;
    const count = Math.floor(memory.bytes / (4 * floats));
    this.places = Array.from({ length: count }, (_, place) => new GradientPlace(memory, 4 * floats * place));
  }

  /** @param most places; there may be fewer. Undefined where there is not shared memory, or not enough for one. */
  static create(floats: number, most: number): SharedGradients | undefined {
    const memory = SharedMemory.create(4 * floats, most, 1);
    return memory && new SharedGradients(memory, floats);
  }

  /** @throws Error */
  static open(address: SharedMemoryAddress, floats: number): SharedGradients {
    return new SharedGradients(SharedMemory.open(address), floats);
  }

  get address(): SharedMemoryAddress {
    return this.#memory;
  }

  close(): void {
    this.#memory.close();
  }
}
