/**
 * The parameter server's arithmetic: adds gradients along the tree of shards, scales, and applies an optimizer, each in
 * one pass over a memory of its own.
 */
import type { ParameterSpec } from '../../nn/model.ts';
import { type OptimizerOptions, optimizerFor } from '../../optim/optimizers.ts';
import { BLOCK, blocksOf } from '../../optim/rounding.ts';
import { AVERAGE, RESIDUAL, type Updater, type UpdaterOptions } from '../../optim/updater.ts';
import { input, mul, scalar } from '../../scalar/expression.ts';
import { type BlockRounder, blockRounder } from './rounding.ts';
import { squareSums } from './squares.ts';
import {
  type Addresses,
  allocate,
  CHUNK,
  instantiatorOver,
  type Loop,
  loopRunner,
  type RunLoop,
} from './updater-loops.ts';
import { adder, roundedAdder } from './updater-sums.ts';
import { averagesOfTrained, type Update, updatesOfStatistics, updatesOfTrained } from './updates.ts';

/**
 * Opens an updater for a model's parameters, of which those that are trained stand first. Whoever keeps averages fills their state with
 * the parameters that the first update starts from.
 * @throws RangeError when the optimizer's options contradict each other
 */
export async function openUpdater(
  parameters: readonly ParameterSpec[],
  options: OptimizerOptions,
  { average, rounding }: UpdaterOptions = {},
): Promise<Updater> {
  const stateNames = [
    ...optimizerFor(options).state,
    ...(average === undefined ? [] : [AVERAGE]),
    ...(rounding ? [RESIDUAL] : []),
  ];
  const floats = parameters.reduce((sum, { size }) => sum + size, 0);
  const trained = parameters.reduce((sum, { size, statistic }) => sum + (statistic ? 0 : size), 0);
  const { memory, addresses: at } = allocate(floats, stateNames.length + (rounding ? 1 : 0));
  const instantiate = instantiatorOver(memory);
  const runLoop = loopRunner(instantiate);
  const view = (offset: number) => new Float32Array(memory.buffer, offset, floats);
  const [weights, gradient] = [view(at.parameters), view(at.gradient)];
  const running = { memory, instantiate, runLoop };
  // The last chunks are for sums that wait.
  const rounder = rounding && blockRounder(memory, instantiate, rounding, at.chunks[1]!);
  const changes = rounding && view(at.state.at(-1)!);
  const apply = rounder
    ? roundedUpdate(parameters, options, average, at, { weights, changes: changes!, rounder, runLoop })
    : plainUpdate(parameters, options, average, at, runLoop);
  const addSquares = squareSums(memory, instantiate, parameters, {
    gradient: at.gradient,
    parameters: at.parameters,
    before: at.chunks[0]!,
  });
  const before = new Float32Array(memory.buffer, at.chunks[0]!, CHUNK);
  const scaling: Loop = {
    ...{ key: 'scale', expressions: [mul(input(0), scalar('factor'))], scalars: ['factor'] },
    ...{ inputs: [at.gradient], outputs: [at.gradient] },
  };
  const scale = (factor: number, start = 0, end = floats) => runLoop(scaling, start, end - start, [factor]);
  const norm = () => normOf(gradient, parameters);
  return {
    parameters: weights,
    gradient,
    state: new Map(stateNames.map((name, index) => [name, view(at.state[index]!)])),
    changes,
    norm,
    scale,
    sum: rounder ? roundedAdder(gradient, at, running, parameters, rounder) : adder(gradient, at, running),
    clip(maxNorm) {
      const found = norm();
      if (!(found > maxNorm)) return 1;
      const factor = Math.fround(maxNorm / found);
      scale(factor, 0, trained);
      return factor;
    },
    clipBy(factor, start, end) {
      if (factor !== 1 && start < trained) scale(factor, start, Math.min(end, trained));
    },
    apply(step, learningRate, { start = 0, end = floats, factor = 1, squares } = {}) {
      if (!squares && !rounding) return apply(start, end, [factor, step, learningRate]);
      for (let first = start; first < end; first += CHUNK) {
        const last = Math.min(first + CHUNK, end);
        before.set(weights.subarray(first, last));
        apply(first, last, [factor, step, learningRate]);
        if (squares) addSquares(squares, first, last);
      }
    },
  };
}

/** Updates the floats [start, end); where updates are rounded, those of one chunk, with a copy of them in the first. */
type ApplyUpdate = (start: number, end: number, numbers: Parameters<Update['values']>) => void;

function plainUpdate(
  parameters: readonly ParameterSpec[],
  options: OptimizerOptions,
  average: number | undefined,
  at: Addresses,
  runLoop: RunLoop,
): ApplyUpdate {
  const updates = [
    ...updatesOfTrained(parameters, options, average, at),
    ...updatesOfStatistics(parameters, average, at),
  ];
  return (start, end, numbers) => update(updates, runLoop, start, end, numbers);
}

interface RoundedUpdate {
  readonly weights: Float32Array;
  readonly changes: Float32Array;
  readonly rounder: BlockRounder;
  readonly runLoop: RunLoop;
}

function roundedUpdate(
  parameters: readonly ParameterSpec[],
  options: OptimizerOptions,
  average: number | undefined,
  at: Addresses,
  { weights, changes, rounder, runLoop }: RoundedUpdate,
): ApplyUpdate {
  // In the order of the states: the optimizer's, averages, residuals, changes.
  const [residual, change] = at.state.slice(-2) as [number, number];
  const kept = at.state.slice(0, -2);
  const optimizer = average === undefined ? kept : kept.slice(0, -1);
  const updates = [
    ...updatesOfTrained(parameters, options, undefined, { ...at, state: optimizer }),
    ...updatesOfStatistics(parameters, average, { ...at, state: kept }),
  ];
  const averages =
    average === undefined ? [] : averagesOfTrained(parameters, options, average, { ...at, state: kept });
  const visitBlocks = blocksOf(parameters);
  const statistics = parameters.filter(({ statistic }) => statistic);
  return (start, end, numbers) => {
    if (start % BLOCK !== 0)
      throw new RangeError(`apply: floats ${start} and on; expected a multiple of ${BLOCK}`);
    update(updates, runLoop, start, end, numbers);
    visitBlocks(start, end, (from, to) =>
      rounder.feedback(
        [
          at.parameters + 4 * from,
          at.chunks[0]! + 4 * (from - start),
          residual + 4 * from,
          change + 4 * from,
        ],
        from,
        to,
      ),
    );
    for (const { offset, size } of statistics) {
      const [from, to] = [Math.max(start, offset), Math.min(end, offset + size)];
      if (from < to) changes.set(weights.subarray(from, to), from);
    }
    update(averages, runLoop, start, end, numbers);
  };
}

/** Updates the floats [start, end), range by range. */
function update(
  updates: readonly Update[],
  runLoop: RunLoop,
  start: number,
  end: number,
  numbers: Parameters<Update['values']>,
): void {
  for (const { offset, size, loop, values } of updates) {
    const from = Math.max(start, offset);
    const count = Math.min(end, offset + size) - from;
    if (count > 0) runLoop(loop, from, count, values(...numbers));
  }
}

function normOf(gradient: Float32Array, parameters: readonly ParameterSpec[]): number {
  const squares = parameters.map(({ offset, size, statistic }) => {
    let sum = 0;
    if (statistic) return sum;
    for (let index = offset; index < offset + size; index++) sum += gradient[index]! * gradient[index]!;
    return sum;
  });
  return Math.sqrt(squares.reduce((a, b) => a + b, 0));
}
