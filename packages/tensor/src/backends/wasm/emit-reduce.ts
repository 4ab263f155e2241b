/** Maxima over axes, as code for one static shape each; sums are in `emit-sum.ts`. Speed comes from outputs side by side. */

import { FunctionBuilder, type Local } from '../../assembler.ts';
import type { Node } from '../../graph.ts';
import type { LoopAxis } from '../../plan/access.ts';
import { sizeOf } from '../../shape.ts';
import { type Address, setAddress } from './address.ts';
import { nest } from './emit-loops.ts';
import { type ReducedAxes, reducedAxes } from './reduced-axes.ts';

/** Vectors of outputs that a reduction holds in registers. */
const WIDEST = 8;

/** @param part which results, where it is not all: their axes, the first at `y` */
export function maxReduction(
  node: Node,
  axes: readonly number[],
  [x, y]: readonly [Address, Address],
  f = new FunctionBuilder(),
  { kept, reduced }: ReducedAxes = reducedAxes(node, axes),
): FunctionBuilder {
  if (sizeOf(node.shape) === 0) return f;
  const [from, to] = [f.local('i32'), f.local('i32')];
  setAddress(f, from, x);
  setAddress(f, to, y);
  const vectors = Array.from({ length: WIDEST }, () => accumulator(f));
  // In the first lane, so that an output does not depend on how many there are beside it.
  const oneOutput = () => {
    const [single] = vectors;
    single!.begin();
    nest(f, reduced, [from], () => single!.take(() => f.get(from).memory('v128Load32Zero')));
    f.get(to);
    single!.push();
    f.store32Lane0();
  };
  /** So many vectors of neighbouring outputs, whose inputs are neighbours too. */
  const vectorOutputs = (count: number) => {
    const own = vectors.slice(0, count);
    for (const vector of own) vector.begin();
    nest(f, reduced, [from], () => {
      for (const [i, vector] of own.entries()) vector.take(() => f.get(from).memory('v128Load', 16 * i));
    });
    for (const [i, vector] of own.entries()) {
      f.get(to);
      vector.push();
      f.memory('v128Store', 16 * i);
    }
    f.advance(from, 16 * count).advance(to, 16 * count);
  };
  const inner = kept.at(-1);
  if (inner?.strides[0] !== 1) {
    rowReduction(f, { kept, reduced, from, to, sums: vectors.slice(0, TOGETHER), oneOutput });
    return f;
  }
  // Neighbouring outputs take neighbouring inputs: a cache line's and more at a time.
  nest(f, kept.slice(0, -1), [from, to], () => {
    const whole = Math.floor(inner.extent / 4);
    f.repeat(Math.floor(whole / WIDEST), () => vectorOutputs(WIDEST));
    f.repeat(whole % WIDEST, () => vectorOutputs(1));
    f.repeat(inner.extent - 4 * whole, () => {
      oneOutput();
      f.advance(from, 4).advance(to, 4);
    });
    f.advance(from, -4 * inner.extent).advance(to, -4 * inner.extent);
  });
  return f;
}

/** Four elements that grow with each that they take. */
interface Accumulator {
  begin(): unknown;
  /** @param element pushes what is taken */
  take(element: () => void): void;
  /** Leaves what has come out on the stack. */
  push(): void;
}

/**
 * A maximum is kept by a comparison, and NaNs apart: the instruction that heeds both takes eight of the CPU's where these are three. Of
 * zeros of both signs it has the first.
 */
function accumulator(f: FunctionBuilder): Accumulator {
  const largest = f.local('v128');
  const [nans, taken] = [f.local('v128'), f.local('v128')];
  return {
    begin: () => f.f32x4(-Infinity).set(largest).f32x4(0).set(nans),
    take: (element) => {
      f.get(largest);
      element();
      f.tee(taken).op('f32x4Pmax').set(largest);
      f.get(taken).get(taken).op('f32x4Ne').get(nans).op('v128Or').set(nans);
    },
    push: () => f.get(largest).get(nans).op('v128Or'),
  };
}

interface Rows {
  /** Axes that stay, with the strides of input and output; and those that do not, with the input's. */
  readonly kept: readonly LoopAxis[];
  readonly reduced: readonly LoopAxis[];
  readonly from: Local;
  readonly to: Local;
  readonly sums: readonly Accumulator[];
  /** Leaves both pointers where they are. */
  readonly oneOutput: () => void;
}

/** Vectors of four rows that are reduced side by side: one sum after another would wait for each addition. */
const TOGETHER = 2;

/** Outputs whose elements lie in rows: a square of four rows by four elements is turned, so that each lane adds up a row. */
function rowReduction(f: FunctionBuilder, { kept, reduced, from, to, sums, oneOutput }: Rows): void {
  const rows = kept.at(-1);
  const along = reduced.at(-1);
  if (!rows || along?.strides[0] !== 1 || rows.strides[1] !== 1) {
    nest(f, kept, [from, to], oneOutput);
    return;
  }
  const square = Array.from({ length: 4 }, () => f.local('v128'));
  const [half, whole] = [f.local('v128'), Math.floor(along.extent / 4)];
  const stride = 4 * rows.strides[0]!;
  /** Adds four elements of each of the four rows from `first` on. */
  const addSquare = (sum: Accumulator, first: number) => {
    for (const [i, row] of square.entries())
      f.get(from)
        .memory('v128Load', (first + i) * stride)
        .set(row);
    const [a, b, c, d] = square as [Local, Local, Local, Local];
    for (const high of [0, 2]) {
      // Elements `high` and `high` + 1 of all rows: in pairs of rows, and then of all four.
      f.get(a)
        .get(b)
        .shuffle32(high, 4 + high, 1 + high, 5 + high)
        .set(half);
      for (const pair of [0, 2]) {
        sum.take(() => {
          f.get(half);
          f.get(c)
            .get(d)
            .shuffle32(high, 4 + high, 1 + high, 5 + high);
          f.shuffle32(pair, 1 + pair, 4 + pair, 5 + pair);
        });
      }
    }
  };
  /** Adds one element of each. */
  const addColumn = (sum: Accumulator, first: number) => {
    const one = (row: number) => f.get(from).memory('v128Load32Zero', (first + row) * stride);
    sum.take(() => {
      one(0);
      one(1);
      f.shuffle32(0, 4, 1, 5);
      one(2);
      one(3);
      f.shuffle32(0, 4, 1, 5).shuffle32(0, 1, 4, 5);
    });
  };
  const reduceRows = (vectors: number) => {
    const own = sums.slice(0, vectors);
    for (const sum of own) sum.begin();
    nest(f, reduced.slice(0, -1), [from], () => {
      f.repeat(whole, () => {
        for (const [i, sum] of own.entries()) addSquare(sum, 4 * i);
        f.advance(from, 16);
      });
      f.repeat(along.extent - 4 * whole, () => {
        for (const [i, sum] of own.entries()) addColumn(sum, 4 * i);
        f.advance(from, 4);
      });
      f.advance(from, -4 * along.extent);
    });
    for (const [i, sum] of own.entries()) {
      f.get(to);
      sum.push();
      f.memory('v128Store', 16 * i);
    }
    f.advance(from, 4 * vectors * stride).advance(to, 16 * vectors);
  };
  nest(f, kept.slice(0, -1), [from, to], () => {
    const fours = Math.floor(rows.extent / 4);
    f.repeat(Math.floor(fours / TOGETHER), () => reduceRows(TOGETHER));
    f.repeat(fours % TOGETHER, () => reduceRows(1));
    f.repeat(rows.extent - 4 * fours, () => {
      oneOutput();
      f.advance(from, stride).advance(to, 4);
    });
    f.advance(from, -stride * rows.extent).advance(to, -4 * rows.extent);
  });
}
