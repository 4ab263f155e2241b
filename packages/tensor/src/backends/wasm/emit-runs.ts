/** Long sums of products as runs and levels of runs, in the order that `ops/summation.ts` defines. */

import type { FunctionBuilder } from '../../assembler.ts';
import { partOf, RUNS } from '../../ops/summation.ts';
import { add, input } from '../../scalar/expression.ts';
import type { Address } from './address.ts';
import { emitPointwise } from './emit-loops.ts';

/** What takes a sum: 0 is the result, 1 and more are sums that wait. */
type Level = number;

interface Runs {
  /** Sums so many products more, from 0: into the level, or in addition to what is there. */
  readonly run: (length: number, level: Level, fresh: boolean) => void;
  /** Adds what is at a level to the one before. */
  readonly join: (level: Level) => void;
}

/** Emits the sum of `length` products, at most `most` in a run. Runs are asked for in ascending order, each once. */
export function emitRuns(f: FunctionBuilder, length: number, most: number, { run, join }: Runs): void {
  const sum = (count: number, level: Level) => {
    if (count <= most * RUNS) {
      run(Math.min(most, count), level, true);
      const whole = Math.floor(count / most);
      f.repeat(whole - 1, () => run(most, level, false));
      if (whole > 0 && count > whole * most) run(count - whole * most, level, false);
      return;
    }
    const part = partOf(count, most);
    const more = (own: number) => {
      sum(own, level + 1);
      join(level + 1);
    };
    sum(part, level);
    f.repeat(Math.floor(count / part) - 1, () => more(part));
    if (count % part > 0) more(count % part);
  };
  sum(length, 0);
}

/** A matrix in memory, and elements from one row to the next. */
interface Rows {
  readonly at: Address;
  readonly row: number;
}

/** Adds a matrix to another. */
export function emitAddition(
  f: FunctionBuilder,
  [rows, columns]: readonly [number, number],
  from: Rows,
  into: Rows,
): void {
  const strides = [
    [into.row, 1],
    [from.row, 1],
  ] as const;
  emitPointwise(f, [rows, columns], [add(input(0), input(1))], [into.at, from.at], strides, [into.at], {
    strides: [strides[0]],
  });
}
