/**
 * The parameter server's arithmetic: adds gradients in the order it is told, scales, and applies an optimizer, each in
 * one pass over a memory of its own.
 */

import { FunctionBuilder, ModuleBuilder } from '../../assembler.ts';
import type { ParameterSpec } from '../../nn/model.ts';
import { type OptimizerOptions, optimizerFor } from '../../optim/optimizers.ts';
import { AVERAGE, type Part, type Updater, type UpdaterOptions } from '../../optim/updater.ts';
import { alignUp } from '../../plan/arena.ts';
import { add, constant, type Expression, input, mul, scalar, sub } from '../../scalar/expression.ts';
import { simplify } from '../../scalar/simplify.ts';
import { substitute } from '../../scalar/substitute.ts';
import type { Address } from './address.ts';
import { emitPointwise } from './emit-loops.ts';
import { squareSums } from './squares.ts';

const PAGE = 65536;
/** Operands of one pass: further parts are added in further passes, which gives the same bits. */
const PARTS_A_PASS = 8;
/** Floats of each part that are copied into the memory and added at a time: together they stay in the second-level cache. */
const CHUNK = 1 << 14;

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
  const optimizer = optimizerFor(options);
  const stateNames = [...optimizer.state, ...(average === undefined ? [] : [AVERAGE])];
  const floats = parameters.reduce((sum, { size }) => sum + size, 0);
  const stride = alignUp(4 * floats + 64);
  const offsetOf = (index: number) => 64 + index * stride;
  const [atParameters, atGradient] = [offsetOf(0), offsetOf(1)];
  const atState = stateNames.map((_, index) => offsetOf(2 + index));
  const atChunks = Array.from(
    { length: PARTS_A_PASS },
    (_, index) => offsetOf(2 + atState.length) + 4 * CHUNK * index,
  );
  const pages = Math.ceil((atChunks.at(-1)! + 4 * CHUNK) / PAGE);
  if (pages > 65536)
    throw new RangeError(
      `${floats} parameters and ${stateNames.length} numbers of state for each do not fit in the 4 GiB of a WebAssembly memory`,
    );
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });

  const instantiate = (f: FunctionBuilder) => {
    const module = new ModuleBuilder({ pages, shared: false });
    module.add(f, 'run');
    const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { env: { memory } });
    return instance.exports.run as (...numbers: number[]) => void;
  };
  /** Loops by what they compute and for how many floats: there are few lengths, those of parts and what ranges leave of them. */
  const compiled = new Map<string, (...numbers: number[]) => void>();
  /**
   * Runs a loop over `count` floats of tensors that begin at these addresses, from the float `start` of each on; where chunks are
   * added, from their beginning.
   */
  const runLoop = (
    { key, expressions, chunks = 0, inputs, outputs, scalars }: Loop,
    start: number,
    count: number,
    values: readonly number[],
  ) => {
    const name = `${key} ${count}`;
    let run = compiled.get(name);
    if (!run) {
      const f = new FunctionBuilder(['i32', ...scalars.map(() => 'f32' as const)]);
      const moving = (at: number): Address => ({ at, by: 'start', push: () => f.get(f.parameter(0)) });
      const from = [...inputs.map(moving), ...atChunks.slice(0, chunks)];
      emitPointwise(
        f,
        [count],
        expressions,
        from,
        from.map(() => [1]),
        outputs.map(moving),
        { scalars: (scalar) => f.get(f.parameter(1 + scalars.indexOf(scalar))).op('f32x4Splat') },
      );
      run = instantiate(f);
      compiled.set(name, run);
    }
    run(4 * start, ...values);
  };

  const updates = rangesOfUpdates(parameters, options).map(({ offset, size, decays }): Update => {
    const own = decays ? optimizer : optimizerFor({ ...options, weightDecay: 0 });
    const follow =
      average === undefined ? [] : [averaged(input(1 + stateNames.length), own.update.parameter)];
    const updated = [own.update.parameter, ...own.update.state, ...follow].map(scaled).map(simplify);
    const scalars = ['factor', ...Object.keys(own.scalars(0, 1)), ...follow.map(() => 'averageRate')];
    const loop: Loop = {
      ...{ key: `update ${decays}`, expressions: [scaledGradient, ...updated], scalars },
      inputs: [atParameters, atGradient, ...atState],
      outputs: [atGradient, atParameters, ...atState],
    };
    const values = (factor: number, step: number, learningRate: number) => {
      const known: Readonly<Record<string, number>> = {
        ...{ factor, ...own.scalars(step, learningRate) },
        averageRate: averageRate(average ?? 0, step),
      };
      return scalars.map((name) => known[name]!);
    };
    return { offset, size, loop, values };
  });
  const statistics = rangesOfStatistics(parameters).map(({ rate, offset, size }): Update => {
    const towards = add(input(0), mul(constant(rate), sub(input(1), input(0))));
    const kept = average === undefined ? [] : [atState.at(-1)!];
    const loop: Loop = {
      key: `statistic ${rate}`,
      expressions: [scaledGradient, ...[towards, ...kept.map(() => averaged(input(2), towards))].map(scaled)],
      inputs: [atParameters, atGradient, ...kept],
      outputs: [atGradient, atParameters, ...kept],
      scalars: ['factor', ...kept.map(() => 'averageRate')],
    };
    const values = (factor: number, step: number) => [
      factor,
      ...kept.map(() => averageRate(average ?? 0, step)),
    ];
    return { offset, size, loop, values };
  });
  const all = [...updates, ...statistics];
  const scaling: Loop = {
    ...{ key: 'scale', expressions: [mul(input(0), scalar('factor'))], scalars: ['factor'] },
    ...{ inputs: [atGradient], outputs: [atGradient] },
  };
  /** gradient = the sum of so many chunks; after the first pass the gradient itself comes first. */
  const adding = (chunks: number, isFirst: boolean): Loop => {
    const terms = Array.from({ length: chunks + (isFirst ? 0 : 1) }, (_, index) => input(index));
    return {
      ...{ key: `add ${chunks} ${isFirst}`, expressions: [terms.reduce(add)], chunks, scalars: [] },
      ...{ inputs: isFirst ? [] : [atGradient], outputs: [atGradient] },
    };
  };

  const areFinite = finiteCheck(memory, instantiate);
  const view = (offset: number, length = floats) => new Float32Array(memory.buffer, offset, length);
  const chunks = atChunks.map((address) => view(address, CHUNK));
  const gradient = view(atGradient);
  const norm = () => {
    const squares = parameters.map(({ offset, size, statistic }) => {
      let sum = 0;
      if (statistic) return sum;
      for (let index = offset; index < offset + size; index++) sum += gradient[index]! * gradient[index]!;
      return sum;
    });
    return Math.sqrt(squares.reduce((a, b) => a + b, 0));
  };
  const trained = parameters.reduce((sum, { size, statistic }) => sum + (statistic ? 0 : size), 0);
  const scale = (factor: number, start = 0, end = floats) => runLoop(scaling, start, end - start, [factor]);
  const weights = view(atParameters);
  const addSquares = squareSums(memory, instantiate, parameters, {
    gradient: atGradient,
    parameters: atParameters,
    before: atChunks[0]!,
  });
  const update = (start: number, end: number, ...numbers: Parameters<Update['values']>) => {
    for (const { offset, size, loop, values } of all) {
      const from = Math.max(start, offset);
      const count = Math.min(end, offset + size) - from;
      if (count > 0) runLoop(loop, from, count, values(...numbers));
    }
  };
  return {
    parameters: weights,
    gradient,
    state: new Map(stateNames.map((name, index) => [name, view(atState[index]!)])),
    norm,
    scale,
    sum(parts, start) {
      const length = parts[0]?.length ?? 0;
      if (length === 0 || parts.some((part) => part.length !== length) || start + length > floats)
        throw new RangeError(
          `sum: parts of [${parts.map((part) => part.length).join()}] floats at ${start}; expected equal lengths, within ${floats}`,
        );
      if (parts.length === 1) {
        copy(parts[0]!, 0, gradient.subarray(start, start + length));
        return areFinite(atGradient + 4 * start, length);
      }
      let finite = true;
      for (let at = 0; at < length; at += CHUNK) {
        const count = Math.min(CHUNK, length - at);
        for (let first = 0; first < parts.length; first += PARTS_A_PASS) {
          const pass = parts.slice(first, first + PARTS_A_PASS);
          for (const [index, part] of pass.entries()) copy(part, at, chunks[index]!.subarray(0, count));
          runLoop(adding(pass.length, first === 0), start + at, count, []);
        }
        finite = areFinite(atGradient + 4 * (start + at), count) && finite;
      }
      return finite;
    },
    clip(maxNorm) {
      const found = norm();
      if (found > maxNorm) scale(Math.fround(maxNorm / found), 0, trained);
    },
    apply(step, learningRate, { start = 0, end = floats, factor = 1, squares } = {}) {
      if (!squares) return update(start, end, factor, step, learningRate);
      for (let at = start; at < end; at += CHUNK) {
        const last = Math.min(at + CHUNK, end);
        chunks[0]!.set(weights.subarray(at, last));
        update(at, last, factor, step, learningRate);
        addSquares(squares, at, last);
      }
    },
  };
}

function copy(part: Float32Array | Part, at: number, into: Float32Array): void {
  if (part instanceof Float32Array) into.set(part.subarray(at, at + into.length));
  else part.read(at, into);
}

/** One loop over tensors in the updater's memory. */
interface Loop {
  /** What it computes, as a key. */
  readonly key: string;
  readonly expressions: readonly Expression[];
  /** Addresses of the tensors that it reads, before so many chunks, and writes. */
  readonly inputs: readonly number[];
  readonly chunks?: number;
  readonly outputs: readonly number[];
  /** Names of its arguments. */
  readonly scalars: readonly string[];
}

/** Neighbouring floats that are updated alike. */
interface Update {
  readonly offset: number;
  readonly size: number;
  readonly loop: Loop;
  /** Arguments of the loop. */
  readonly values: (factor: number, step: number, learningRate: number) => readonly number[];
}

/** What an update goes by: the gradient times a factor. */
const scaledGradient = mul(input(1), scalar('factor'));
/** An expression of the gradient, input 1, as one of that. No update has more inputs than are named here. */
const scaled = (expression: Expression) =>
  substitute(expression, [input(0), scaledGradient, input(2), input(3), input(4), input(5)]);

/** The part of the way that averages go towards the parameters. */
const averaged = (average: Expression, parameter: Expression) =>
  add(average, mul(scalar('averageRate'), sub(parameter, average)));

/**
 * 1 - decay, but more in the first updates, where averages would else be mostly of what training started from:
 * the decay of update t is at most (1 + t) / (10 + t), as in TensorFlow's ExponentialMovingAverage.
 */
const averageRate = (decay: number, step: number) => 1 - Math.min(decay, (1 + step) / (10 + step));

/**
 * Makes a function that says whether `count` floats at an address are finite: x * 0 is NaN for infinities and NaN alone, and a NaN
 * outlives every sum. Leaves its sums in the first 16 bytes of the memory.
 */
function finiteCheck(
  memory: WebAssembly.Memory,
  instantiate: (f: FunctionBuilder) => (...numbers: number[]) => void,
): (address: number, count: number) => boolean {
  const f = new FunctionBuilder(['i32', 'i32']);
  const [pointer, end] = [f.parameter(0), f.parameter(1)];
  const sums = Array.from({ length: 4 }, () => f.local('v128'));
  f.until(pointer, end, () => {
    for (const [index, sum] of sums.entries()) {
      f.get(pointer).memory('v128Load', 16 * index);
      f.f32x4(0).op('f32x4Mul').get(sum).op('f32x4Add').set(sum);
    }
    f.advance(pointer, 16 * sums.length);
  });
  const zero = f.local('i32');
  f.get(zero);
  for (const [index, sum] of sums.entries()) {
    f.get(sum);
    if (index > 0) f.op('f32x4Add');
  }
  f.memory('v128Store');
  const run = instantiate(f);
  const found = new Float32Array(memory.buffer, 0, 4);
  return (address, count) => {
    const rest = count % 16;
    const end = address + 4 * (count - rest);
    run(address, end);
    return (
      found.every((sum) => sum === 0) && new Float32Array(memory.buffer, end, rest).every(Number.isFinite)
    );
  };
}

/** Ranges of what is trained, without what is frozen. Biases and norms are the parameters with one axis. */
function rangesOfUpdates(
  parameters: readonly ParameterSpec[],
  { weightDecay = 0, decayBiasAndNorm = true }: OptimizerOptions,
): { readonly offset: number; size: number; readonly decays: boolean }[] {
  const ranges: { offset: number; size: number; decays: boolean }[] = [];
  for (const { offset, size, shape, statistic, frozen } of parameters) {
    if (statistic || frozen) continue;
    const decays = weightDecay === 0 || decayBiasAndNorm || shape.length > 1;
    const last = ranges.at(-1);
    if (last?.decays === decays && last.offset + last.size === offset) last.size += size;
    else ranges.push({ offset, size, decays });
  }
  return ranges;
}

function rangesOfStatistics(
  parameters: readonly ParameterSpec[],
): { readonly rate: number; readonly offset: number; size: number }[] {
  const ranges: { rate: number; offset: number; size: number }[] = [];
  for (const { offset, size, statistic } of parameters) {
    const last = ranges.at(-1);
    if (!statistic) continue;
    if (last?.rate === statistic.rate && last.offset + last.size === offset) last.size += size;
    else ranges.push({ rate: statistic.rate, offset, size });
  }
  return ranges;
}
