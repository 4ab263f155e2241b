/** Sums over axes in the order that `ops/summation.ts` defines, as code for one static shape each. */

import { FunctionBuilder, type Local } from '../../assembler.ts';
import type { Node } from '../../graph.ts';
import { SUM_BLOCK, SUM_LANES } from '../../ops/summation.ts';
import type { LoopAxis } from '../../plan/access.ts';
import { sizeOf } from '../../shape.ts';
import { type Address, setAddress } from './address.ts';
import { nest } from './emit-loops.ts';
import { MOST_VECTORS, Waiting } from './emit-waiting.ts';
import { type ReducedAxes, reducedAxes } from './reduced-axes.ts';

/**
 * Vectors of outputs that are summed side by side where neighbouring outputs have neighbouring inputs: with the lanes of a block a vector
 * register each. A tensor that does not stay in the cache is better read by two lines of it at a time. Measured on Zen 4, GB/s with
 * 4 and with 8: 118 and 90 for 64 KiB, 25 and 50 for 16 MiB.
 */
const WIDE = { cached: 4, beyond: MOST_VECTORS } as const;
/** Bytes that stay in the second-level cache. */
const CACHE = 2 ** 20;
/** Rows that are summed side by side where the numbers of one output are neighbours. */
const ROWS = 8;
/** Vectors of a row that are added in one round of a loop. */
const UNROLL = 4;
/**
 * Code that sums the node's input over axes.
 * @param scratch address of room for the sums that wait
 * @param part which results, where it is not all: their axes, the first at `y`
 */
export function sumReduction(
  node: Node,
  axes: readonly number[],
  [x, y]: readonly [Address, Address],
  scratch: Address,
  f = new FunctionBuilder(),
  part: ReducedAxes = reducedAxes(node, axes),
): FunctionBuilder {
  if (sizeOf(node.shape) === 0) return f;
  const { shape } = node.inputs[0]!;
  const { kept, reduced } = part;
  const [from, to] = [f.local('i32'), f.local('i32')];
  setAddress(f, from, x);
  setAddress(f, to, y);
  const emitter = new SumEmitter(f, from, to, scratch);
  const wide = 4 * sizeOf(shape) > CACHE ? WIDE.beyond : WIDE.cached;
  if (kept.at(-1)?.strides[0] === 1) emitter.columns(kept, reduced, wide);
  else emitter.rows(kept, reduced);
  return f;
}

class SumEmitter {
  readonly #f: FunctionBuilder;
  readonly #from: Local;
  readonly #to: Local;
  readonly #scratch: Address;

  constructor(f: FunctionBuilder, from: Local, to: Local, scratch: Address) {
    this.#f = f;
    this.#from = from;
    this.#to = to;
    this.#scratch = scratch;
  }

  /** Neighbouring outputs have neighbouring inputs: a cache line's and more at a time. */
  columns(kept: readonly LoopAxis[], reduced: readonly LoopAxis[], wide: number): void {
    const f = this.#f;
    const [from, to] = [this.#from, this.#to];
    const { extent } = kept.at(-1)!;
    const outputs = (count: number, whole: boolean) => {
      const sums = this.#vectors(count);
      const load = whole ? 'v128Load' : 'v128Load32Zero';
      this.#axes(reduced, sums, 0, (i, offset) => f.get(from).memory(load, 16 * i + offset));
      for (const [i, sum] of sums.entries()) {
        f.get(to).get(sum);
        if (whole) f.memory('v128Store', 16 * i);
        else f.store32Lane0();
      }
      const bytes = whole ? 16 * count : 4;
      f.advance(from, bytes).advance(to, bytes);
    };
    nest(f, kept.slice(0, -1), [from, to], () => {
      const whole = Math.floor(extent / 4);
      f.repeat(Math.floor(whole / wide), () => outputs(wide, true));
      f.repeat(whole % wide, () => outputs(1, true));
      f.repeat(extent % 4, () => outputs(1, false));
      f.advance(from, -4 * extent).advance(to, -4 * extent);
    });
  }

  /** The numbers of an output are neighbours. */
  rows(kept: readonly LoopAxis[], reduced: readonly LoopAxis[]): void {
    const f = this.#f;
    const [from, to] = [this.#from, this.#to];
    const inner = reduced.at(-1) ?? { extent: 1, strides: [1] };
    const outer = reduced.slice(0, -1);
    const { extent, strides } = kept.at(-1) ?? { extent: 1, strides: [0, 1] };
    const stride = 4 * strides[0]!;
    const outputs = (count: number) => {
      const sums = this.#vectors(Math.ceil(count / 4));
      const sumRows = (into: readonly Local[], depth: number) =>
        count === 1 && inner.extent >= 4 * SUM_BLOCK
          ? this.#longRow(inner.extent, into[0]!, depth)
          : this.#tree(inner.extent, into, depth, (length) =>
              this.#blocksOfRows(length, count, stride, into),
            );
      this.#axes(outer, sums, 0, undefined, (into, depth) => {
        sumRows(into, depth);
        f.advance(from, -4 * inner.extent);
      });
      for (let row = 0; row < count; row++) {
        const sum = sums[row >> 2]!;
        if (row % 4 === 0 && row + 4 <= count) {
          f.get(to)
            .get(sum)
            .memory('v128Store', 4 * row);
          row += 3;
          continue;
        }
        const lane = row % 4;
        f.get(to)
          .get(sum)
          .get(sum)
          .shuffle32(lane, lane, lane, lane)
          .store32Lane0(4 * row);
      }
      f.advance(from, count * stride).advance(to, 4 * count);
    };
    nest(f, kept.slice(0, -1), [from, to], () => {
      const groups = Math.floor(extent / ROWS);
      const rest = extent - groups * ROWS;
      f.repeat(groups, () => outputs(ROWS));
      if (rest >= 4) outputs(4);
      f.repeat(rest % 4, () => outputs(1));
      f.advance(from, -stride * extent).advance(to, -4 * extent);
    });
  }

  #vectors(count: number): Local[] {
    return Array.from({ length: count }, () => this.#f.local('v128'));
  }

  /**
   * Leaves in `sums` those over all axes; the pointer ends where it began.
   * @param load pushes vector i of what lies so many bytes behind the pointer
   * @param element or leaves it in vectors that it is given
   */
  #axes(
    axes: readonly LoopAxis[],
    sums: readonly Local[],
    depth: number,
    load: ((i: number, offset: number) => void) | undefined,
    element?: (into: readonly Local[], depth: number) => void,
  ): void {
    const f = this.#f;
    const [axis, ...rest] = axes;
    if (!axis) {
      if (element) element(sums, depth);
      else
        for (const [i, sum] of sums.entries()) {
          f.f32x4(0);
          load!(i, 0);
          f.op('f32x4Add').set(sum);
        }
      return;
    }
    const step = 4 * axis.strides[0]!;
    if (rest.length === 0 && load) {
      this.#tree(axis.extent, sums, depth, (length) => this.#blockOfColumns(length, step, sums, load));
    } else {
      const inner = this.#vectors(sums.length);
      const take = () => {
        this.#axes(rest, inner, depth + 1, load, element);
        for (const [i, sum] of sums.entries()) f.get(sum).get(inner[i]!).op('f32x4Add').set(sum);
      };
      this.#tree(axis.extent, sums, depth, (length) => this.#blockOfSums(length, step, sums, take));
    }
    f.advance(this.#from, -step * axis.extent);
  }

  /** Adds the numbers of a block, `step` bytes apart, in the order in which they lie in memory. */
  #blockOfColumns(
    length: number,
    step: number,
    sums: readonly Local[],
    load: (i: number, offset: number) => void,
  ): void {
    const f = this.#f;
    const lanes = Array.from({ length: SUM_LANES }, () => this.#vectors(sums.length));
    for (const lane of lanes) for (const sum of lane) f.f32x4(0).set(sum);
    const add = (count: number) => {
      for (const [l, lane] of lanes.slice(0, count).entries()) {
        for (const [i, sum] of lane.entries()) {
          f.get(sum);
          load(i, l * step);
          f.op('f32x4Add').set(sum);
        }
      }
      f.advance(this.#from, count * step);
    };
    f.repeat(Math.floor(length / SUM_LANES), () => add(SUM_LANES));
    if (length % SUM_LANES > 0) add(length % SUM_LANES);
    const [first, second, third, fourth] = lanes as [Local[], Local[], Local[], Local[]];
    for (const [i, sum] of sums.entries()) {
      f.get(first[i]!).get(second[i]!).op('f32x4Add');
      f.get(third[i]!).get(fourth[i]!).op('f32x4Add', 'f32x4Add').set(sum);
    }
  }

  /** Adds what are sums themselves, of parts that lie `step` bytes apart, one lane of the block after the other. */
  #blockOfSums(length: number, step: number, sums: readonly Local[], take: () => void): void {
    const f = this.#f;
    const [pairs, halves] = [this.#vectors(sums.length), this.#vectors(sums.length)];
    const copy = (into: readonly Local[]) => {
      for (const [i, sum] of sums.entries()) f.get(sum).set(into[i]!);
    };
    const join = (before: readonly Local[]) => {
      for (const [i, sum] of sums.entries()) f.get(before[i]!).get(sum).op('f32x4Add').set(sum);
    };
    const lanes = Math.min(SUM_LANES, length);
    if (lanes === 0) for (const sum of sums) f.f32x4(0).set(sum);
    for (let lane = 0; lane < lanes; lane++) {
      for (const sum of sums) f.f32x4(0).set(sum);
      const rounds = Math.ceil((length - lane) / SUM_LANES);
      f.repeat(rounds, () => {
        take();
        f.advance(this.#from, SUM_LANES * step);
      });
      f.advance(this.#from, (1 - SUM_LANES * rounds) * step);
      if (lane % 2 === 1) join(halves);
      else if (lane + 1 < lanes) copy(halves);
      if (lane === 1 && lanes > 2) copy(pairs);
      if (lane >= 2 && lane === lanes - 1) join(pairs);
    }
    f.advance(this.#from, (length - lanes) * step);
  }

  /** Adds the numbers of a block of so many rows: lane by lane as they lie in a vector, which the rows then exchange. */
  #blocksOfRows(length: number, count: number, stride: number, sums: readonly Local[]): void {
    const f = this.#f;
    const rows = this.#vectors(count);
    for (const row of rows) f.f32x4(0).set(row);
    const add = (load: (row: number) => void) => {
      for (const [i, row] of rows.entries()) {
        f.get(row);
        load(i);
        f.op('f32x4Add').set(row);
      }
    };
    const vectors = (together: number) => {
      for (let i = 0; i < together; i++)
        add((row) => f.get(this.#from).memory('v128Load', row * stride + 16 * i));
      f.advance(this.#from, 16 * together);
    };
    const whole = Math.floor(length / 4);
    f.repeat(Math.floor(whole / UNROLL), () => vectors(UNROLL));
    if (whole % UNROLL > 0) vectors(whole % UNROLL);
    const rest = length % 4;
    if (rest > 0) {
      add((row) => this.#loadSome(rest, row * stride));
      f.advance(this.#from, 4 * rest);
    }
    for (const [i, sum] of sums.entries()) this.#sumLanes(rows.slice(4 * i, 4 * i + 4), sum);
  }

  /** Pushes one to three numbers, with zeros behind them, which change no sum. */
  #loadSome(count: number, offset: number): void {
    const f = this.#f;
    const one = (i: number) => f.get(this.#from).memory('v128Load32Zero', offset + 4 * i);
    one(0);
    if (count > 1) {
      one(1);
      f.shuffle32(0, 4, 1, 5);
    }
    if (count > 2) {
      one(2);
      f.shuffle32(0, 1, 4, 5);
    }
  }

  /** Of up to four vectors the sums of their lanes, one in each lane: (0 + 1) + (2 + 3). */
  #sumLanes(rows: readonly Local[], into: Local): void {
    const f = this.#f;
    const [a, b = a, c = a, d = b] = rows as [Local, Local?, Local?, Local?];
    const [first, second] = [f.local('v128'), f.local('v128')];
    const pairs = (x: Local, y: Local) => {
      f.get(x).get(y).shuffle32(0, 2, 4, 6);
      f.get(x).get(y).shuffle32(1, 3, 5, 7).op('f32x4Add');
    };
    pairs(a, b);
    f.set(first);
    pairs(c, d);
    f.set(second);
    f.get(first).get(second).shuffle32(0, 2, 4, 6);
    f.get(first).get(second).shuffle32(1, 3, 5, 7).op('f32x4Add').set(into);
  }

  /** The sum of one long row, in lane 0: four blocks are summed side by side, as if they were rows. */
  #longRow(extent: number, sum: Local, depth: number): void {
    const f = this.#f;
    const groups = Math.floor(extent / (4 * SUM_BLOCK));
    const waiting = this.#waiting(depth, [sum]);
    f.repeat(groups, () => {
      this.#blocksOfRows(SUM_BLOCK, 4, 4 * SUM_BLOCK, [sum]);
      f.advance(this.#from, 4 * 3 * SUM_BLOCK);
      this.#sumLanes([sum], sum);
      waiting.push(4);
    });
    this.#blocks(extent - groups * 4 * SUM_BLOCK, waiting, (length) =>
      this.#blocksOfRows(length, 1, 0, [sum]),
    );
    waiting.finish();
  }

  /** Leaves in `sums` those of so many numbers; `block` leaves those of the next of them there. */
  #tree(extent: number, sums: readonly Local[], depth: number, block: (length: number) => void): void {
    if (extent <= SUM_BLOCK) {
      block(extent);
      return;
    }
    const waiting = this.#waiting(depth, sums);
    this.#blocks(extent, waiting, block);
    waiting.finish();
  }

  #blocks(extent: number, waiting: Waiting, block: (length: number) => void): void {
    const take = (length: number) => {
      block(length);
      waiting.push(1);
    };
    this.#f.repeat(Math.floor(extent / SUM_BLOCK), () => take(SUM_BLOCK));
    if (extent % SUM_BLOCK > 0) take(extent % SUM_BLOCK);
  }

  #waiting(depth: number, sums: readonly Local[]): Waiting {
    return new Waiting(this.#f, this.#scratch, depth, sums);
  }
}
