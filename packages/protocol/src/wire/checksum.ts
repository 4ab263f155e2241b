/**
 * The checksum of frames: 32 bits over 32 lanes, made for vector units. It finds damage, not malice.
 *
 * The bytes, zero-padded to a multiple of 128, are little-endian words; lane l takes the words l, l + 32, l + 64, ... :
 *
 *     h[l] = (l + 1) * P mod 2^32            P = 0x9e3779b1
 *     h[l] = rotl(h[l] ^ word, 13) * P       for each word of the lane
 *     sum  = number of bytes; sum = rotl(sum ^ h[l], 13) * P for l = 0, 1, ..., 31
 *
 * The round is xxHash32's with an exclusive or in place of a multiplication. CRC-32 as Node has it (zlib, 4 GB/s) took a
 * tenth of a training step; this one runs at 12 GB/s (docs/decisions/004-frame-checksum.md).
 */
import { FunctionBuilder, type Local, ModuleBuilder } from '@kasane/tensor/internal/assembler';

const PRIME = 0x9e3779b1 | 0;
const LANES = 32;
const BLOCK = 4 * LANES;
const VECTORS = LANES / 4;
/** Bytes copied into the kernel's memory at a time: they stay in the first-level cache. */
const CHUNK = 128 * BLOCK;

/** The kernel: lanes at address 0, data behind them. */
function compile(): { bytes: Uint8Array; words: Int32Array; run: (start: number, end: number) => void } {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const f = new FunctionBuilder(['i32', 'i32']);
  const [pointer, end] = [f.parameter(0), f.parameter(1)];
  const lanes: Local[] = Array.from({ length: VECTORS }, () => f.local('v128'));
  const zero = f.local('i32');
  for (const [index, lane] of lanes.entries())
    f.get(zero)
      .memory('v128Load', 16 * index)
      .set(lane);
  f.until(pointer, end, () => {
    for (const [index, lane] of lanes.entries()) {
      f.get(lane)
        .get(pointer)
        .memory('v128Load', 16 * index)
        .op('v128Xor')
        .tee(lane);
      f.i32(13)
        .op('i32x4Shl')
        .get(lane)
        .i32(19)
        .op('i32x4ShrU', 'v128Or')
        .i32x4(PRIME)
        .op('i32x4Mul')
        .set(lane);
    }
    f.advance(pointer, BLOCK);
  });
  for (const [index, lane] of lanes.entries())
    f.get(zero)
      .get(lane)
      .memory('v128Store', 16 * index);
  const module = new ModuleBuilder({ pages: 1, shared: false });
  module.add(f, 'run');
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { env: { memory } });
  return {
    bytes: new Uint8Array(memory.buffer),
    words: new Int32Array(memory.buffer),
    run: instance.exports.run as (start: number, end: number) => void,
  };
}

let kernel: ReturnType<typeof compile> | undefined;

/** The checksum of data that comes in pieces. */
export class Checksum {
  readonly #lanes = new Int32Array(LANES);
  #bytes = 0;

  constructor() {
    this.reset();
  }

  /** Forgets what it was given. */
  reset(): this {
    for (let lane = 0; lane < LANES; lane++) this.#lanes[lane] = Math.imul(lane + 1, PRIME);
    this.#bytes = 0;
    return this;
  }

  /** Takes the next piece; all but the last have a multiple of 128 bytes. */
  update(piece: Uint8Array): this {
    kernel ??= compile();
    const { bytes, words, run } = kernel;
    words.set(this.#lanes);
    for (let at = 0; at < piece.length; at += CHUNK) {
      const chunk = piece.subarray(at, at + CHUNK);
      const padded = Math.ceil(chunk.length / BLOCK) * BLOCK;
      bytes.set(chunk, BLOCK);
      bytes.fill(0, BLOCK + chunk.length, BLOCK + padded);
      run(BLOCK, BLOCK + padded);
    }
    this.#lanes.set(words.subarray(0, LANES));
    this.#bytes += piece.length;
    return this;
  }

  /** Of all pieces so far, as an unsigned 32-bit number. */
  get value(): number {
    let sum = this.#bytes | 0;
    for (let lane = 0; lane < LANES; lane++) sum = round(sum, this.#lanes[lane]!);
    return sum >>> 0;
  }
}

const whole = new Checksum();

/** The checksum of `data` as an unsigned 32-bit number. */
export const checksum = (data: Uint8Array): number => whole.reset().update(data).value;

const round = (sum: number, word: number) => {
  const mixed = sum ^ word;
  return Math.imul((mixed << 13) | (mixed >>> 19), PRIME);
};
