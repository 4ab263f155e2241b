/**
 * The parameter server's arithmetic: adds gradients along the tree of shards, scales, and applies an optimizer, each in
 * one pass over a memory of its own.
 */
import type { ParameterSpec } from '../../nn/model.ts';
import { type OptimizerOptions, optimizerFor } from '../../optim/optimizers.ts';
import { AVERAGE, type Part, type Updater, type UpdaterOptions } from '../../optim/updater.ts';
import { input, mul, scalar } from '../../scalar/expression.ts';
import { finiteCheck } from './finite.ts';
import { squareSums } from './squares.ts';
import { type Pass, treePasses } from './tree-passes.ts';
import {
  type Addresses,
  allocate,
  CHUNK,
  type Instantiate,
  instantiatorOver,
  type Loop,
  loopRunner,
  PARTS_A_PASS,
  type RunLoop,
} from './updater-loops.ts';
import { type Update, updatesOfStatistics, updatesOfTrained } from './updates.ts';

/**
 * Opens an updater for a model's parameters, of which those that are trained stand first. Whoever keeps averages fills their state with
 * the parameters that the first update starts from.
 * @throws RangeError when the optimizer's options contradict each other
 */
export async function openUpdater(
  parameters: readonly ParameterSpec[],
  options: OptimizerOptions,
  { average }: UpdaterOptions = {},
): Promise<Updater> {
  const stateNames = [...optimizerFor(options).state, ...(average === undefined ? [] : [AVERAGE])];
  const floats = parameters.reduce((sum, { size }) => sum + size, 0);
  const trained = parameters.reduce((sum, { size, statistic }) => sum + (statistic ? 0 : size), 0);
  const { memory, addresses: at } = allocate(floats, stateNames.length);
  const instantiate = instantiatorOver(memory);
  const runLoop = loopRunner(instantiate);
  const view = (offset: number) => new Float32Array(memory.buffer, offset, floats);
  const [weights, gradient] = [view(at.parameters), view(at.gradient)];
  const updates = [
    ...updatesOfTrained(parameters, options, average, at),
    ...updatesOfStatistics(parameters, average, at),
  ];
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
    norm,
    scale,
    sum: adder(gradient, at, { memory, instantiate, runLoop }),
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
      if (!squares) return update(updates, runLoop, start, end, [factor, step, learningRate]);
      for (let first = start; first < end; first += CHUNK) {
        const last = Math.min(first + CHUNK, end);
        before.set(weights.subarray(first, last));
        update(updates, runLoop, first, last, [factor, step, learningRate]);
        addSquares(squares, first, last);
      }
    },
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

interface Running {
  readonly memory: WebAssembly.Memory;
  readonly instantiate: Instantiate;
  readonly runLoop: RunLoop;
}

/** Adds parts chunk by chunk, a few of them in each pass. */
function adder(
  gradient: Float32Array,
  at: Addresses,
  { memory, instantiate, runLoop }: Running,
): Updater['sum'] {
  const areFinite = finiteCheck(memory, instantiate);
  const chunks = at.chunks.map((address) => new Float32Array(memory.buffer, address, CHUNK));
  /** Of the last sum: mostly the next one has as many parts. */
  let known: { readonly counts: string; readonly passes: readonly Pass[] } | undefined;
  const passesOf = (counts: readonly number[]) => {
    const key = counts.join();
    if (known?.counts !== key) known = { counts: key, passes: treePasses(counts, PARTS_A_PASS) };
    return known.passes;
  };
  return (parts, start, counts = parts.map(() => 1)) => {
    const length = parts[0]?.length ?? 0;
    if (length === 0 || parts.some((part) => part.length !== length) || start + length > gradient.length)
      throw new RangeError(
        `sum: parts of [${parts.map((part) => part.length).join()}] floats at ${start}; expected equal lengths, within ${gradient.length}`,
      );
    if (parts.length === 1) {
      copy(parts[0]!, 0, gradient.subarray(start, start + length));
      return areFinite(at.gradient + 4 * start, length);
    }
    const passes = passesOf(counts);
    let finite = true;
    for (let from = 0; from < length; from += CHUNK) {
      const count = Math.min(CHUNK, length - from);
      for (const { operands, sum, into, key } of passes) {
        let filled = 0;
        const used = operands.map((operand) => {
          if ('place' in operand) return at.chunks[PARTS_A_PASS + operand.place]!;
          copy(parts[operand.part]!, from, chunks[filled]!.subarray(0, count));
          return at.chunks[filled++]!;
        });
        const outputChunk = into === undefined ? undefined : at.chunks[PARTS_A_PASS + into]!;
        const loop = {
          key,
          expressions: [sum],
          inputs: [],
          chunks: used,
          outputs: [at.gradient],
          outputChunk,
        };
        runLoop({ ...loop, scalars: [] }, start + from, count, []);
      }
      finite = areFinite(at.gradient + 4 * (start + from), count) && finite;
    }
    return finite;
  };
}

function copy(part: Float32Array | Part, at: number, into: Float32Array): void {
  if (part instanceof Float32Array) into.set(part.subarray(at, at + into.length));
  else part.read(at, into);
}
