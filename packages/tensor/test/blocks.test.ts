/** Steps over the same rows, some rows at a time: which are put together, and that no bit of a row depends on how many there are. */
import { describe, expect, it } from 'vitest';
import { gradients } from '../src/autodiff.ts';
import { compileProgram } from '../src/backends/wasm/program.ts';
import type { Node } from '../src/graph.ts';
import { crossEntropy, softmax } from '../src/nn/losses.ts';
import { layerNormalization } from '../src/nn/norm.ts';
import { input } from '../src/ops/leaf.ts';
import { transpose } from '../src/ops/movement.ts';
import { concat, slice } from '../src/ops/parts.ts';
import { add, exp, mul, sub } from '../src/ops/pointwise.ts';
import { sum } from '../src/ops/reduce.ts';
import { layOut } from '../src/plan/arena.ts';
import { blockSteps } from '../src/plan/blocks.ts';
import { mergeSteps } from '../src/plan/merge.ts';
import { makePlan } from '../src/plan/plan.ts';
import { uniforms } from './support/cases.ts';

const COLUMNS = 128;
const matrix = (name: string, rows: number) => input(name, [rows, COLUMNS]);

function planned(outputs: readonly Node[]) {
  const plan = makePlan(outputs);
  const kept = new Set(plan.outputs);
  return { kept, merged: mergeSteps(plan.steps, kept) };
}

/** Of a block how many steps it has; of others, 1. */
const sizesOf = (outputs: readonly Node[]) => {
  const { kept, merged } = planned(outputs);
  return blockSteps(merged, kept).map((step) => (step.kind === 'block' ? step.steps.length : 1));
};

describe('blocks', () => {
  it('are made of maximum, loops and sum of a large softmax, and not of a small one', () => {
    expect(sizesOf([softmax(matrix('x', 4096))])).toEqual([4]);
    expect(sizesOf([softmax(matrix('x', 64))])).toEqual([1, 1, 1, 1]);
  });

  it('leave out what mixes rows', () => {
    const x = matrix('x', 4096);
    // A sum over the rows, and columns of what has just been written.
    expect(sizesOf([sum(softmax(x), [0])])).toEqual([4, 1]);
    const powers = exp(x);
    const turned = mul(transpose(matrix('y', 4096)), transpose(powers));
    expect(sizesOf([sum(powers, [1]), turned])).toEqual([2, 1]);
    // The row before.
    const shifted = sub(slice(powers, [1, 0], [4095, COLUMNS]), slice(powers, [0, 0], [4095, COLUMNS]));
    expect(sizesOf([shifted, sum(powers, [1])])).toEqual([2, 1]);
  });

  it('keep of what only they read no more than some rows', () => {
    const bytesOf = (rows: number) => {
      const x = matrix('x', rows);
      const { kept, merged } = planned([softmax(x)]);
      const places = new Map([[x, 0]]);
      const all = layOut(merged, 0, places, kept).end;
      return { all, blocked: layOut(blockSteps(merged, kept), 0, places, kept).end };
    };
    const { all, blocked } = bytesOf(8192);
    expect(all - blocked).toBeGreaterThan(0.9 * 4 * 8192 * COLUMNS);
  });
});

interface Leaves {
  readonly x: Node;
  readonly g: Node;
  readonly scale: Node;
  readonly shift: Node;
  readonly labels: Node;
}

const works: Readonly<Record<string, (leaves: Leaves) => readonly Node[]>> = {
  softmax: ({ x }) => [softmax(x)],
  'softmax with its gradient': ({ x, g }) => [softmax(x), ...gradients(sum(mul(softmax(x), g)), [x])],
  'layer norm with its gradient': ({ x, g, scale, shift }) => {
    const y = layerNormalization(x, scale, shift, 1e-5);
    return [y, ...gradients(sum(mul(y, g)), [x])];
  },
  'cross-entropy with its gradient': ({ x, labels }) => [
    crossEntropy(x, labels),
    ...gradients(sum(crossEntropy(x, labels)), [x]),
  ],
  // Halves that lie side by side, one of them written by another step than the other.
  'parts of a row': ({ x, g }) => {
    const half = COLUMNS / 2;
    const rows = x.shape[0]!;
    const [left, right] = [softmax(slice(x, [0, 0], [rows, half])), exp(slice(g, [0, half], [rows, half]))];
    const both = concat([left, mul(right, add(right, right))], 1);
    return [softmax(both), sum(both, [1])];
  },
};

describe('rows have the same bits whatever the number of rows', () => {
  const values = (rows: number) => ({
    x: Float32Array.from(uniforms(rows * COLUMNS, 1), (u) => 8 * u - 4),
    g: Float32Array.from(uniforms(rows * COLUMNS, 2), (u) => 2 * u - 1),
    scale: Float32Array.from(uniforms(COLUMNS, 3)),
    shift: Float32Array.from(uniforms(COLUMNS, 4)),
    labels: Int32Array.from(uniforms(rows, 5), (u) => Math.floor(u * COLUMNS)),
  });
  /** Rows [start, start + rows) by themselves. */
  async function results(work: (typeof works)[string], all: ReturnType<typeof values>, rows: number) {
    const row = [COLUMNS];
    const program = await compileProgram(
      work({
        ...{
          x: matrix('x', rows),
          g: matrix('g', rows),
          scale: input('scale', row),
          shift: input('shift', row),
        },
        labels: input('labels', [rows], 'i32'),
      }),
    );
    return (start: number) => {
      for (const [name, place] of Object.entries(program.inputs)) {
        const own = all[name as keyof typeof all];
        const size = name === 'labels' ? 1 : COLUMNS;
        const isWhole = name === 'scale' || name === 'shift';
        place.set(isWhole ? own : own.subarray(start * size, (start + rows) * size));
      }
      program.run();
      return program.outputs.map((output) => output.slice());
    };
  }

  // 4096 is cut into equal blocks; 4099, a prime, leaves a rest.
  it.each(Object.keys(works).flatMap((name) => [4096, 4099].map((rows) => [name, rows] as const)))(
    '%s of %i',
    async (name, rows) => {
      const work = works[name]!;
      const all = values(rows);
      const whole = (await results(work, all, rows))(0);
      const few = await results(work, all, 8);
      for (let start = 0; start + 8 <= rows; start += 504) {
        for (const [index, part] of few(start).entries()) {
          const size = part.length / 8;
          expect(whole[index]!.subarray(start * size, (start + 8) * size)).toEqual(part);
        }
      }
      const last = (await results(work, all, 3))(rows - 3);
      for (const [index, part] of last.entries()) expect(whole[index]!.subarray(-part.length)).toEqual(part);
    },
  );
});
