/**
 * The parameter server's arithmetic: adds gradients in the order it is told, scales, and applies an optimizer, each in
 * one pass over a memory of its own.
 */
import type { ParameterSpec } from '../../nn/model.ts';
import { type OptimizerOptions, optimizerFor } from '../../optim/optimizers.ts';
import { alignUp } from '../../plan/arena.ts';
import { add, constant, type Expression, input, mul, scalar, sub } from '../../scalar/expression.ts';
import { simplify } from '../../scalar/simplify.ts';
import { FunctionBuilder, ModuleBuilder } from './assembler.ts';
import { emitPointwise } from './emit-loops.ts';

export interface Norms {
  /** By parameter, in list order. */
  readonly perParameter: Float64Array;
  /** Of the whole gradient. */
  readonly global: number;
}

export interface Updater {
  /** Flat layout. */
  readonly parameters: Float32Array;
  /** Flat layout; what `reduce` made. */
  readonly gradient: Float32Array;
  /** Flat layout, by name. */
  readonly state: ReadonlyMap<string, Float32Array>;
  /** Buffers for the caller to fill with gradients, flat layout each. */
  readonly slots: readonly Float32Array[];
  /** gradient = (slots[order[0]] + slots[order[1]] + ...) * scale, added from left to right. */
  reduce(order: readonly number[], scale: number): void;
  /** Whether every element of the gradient is a finite number. */
  isFinite(): boolean;
  /** L2 norms of the gradient, in float64 over ascending elements. Statistics have none: 0. */
  norms(): Norms;
  /** Scales the gradient down so that its global norm is at most `maxNorm` (Pascanu et al. 2013). Leaves statistics alone. */
  clip(maxNorm: number): void;
  /** One update; `step` counts from 0. What is trained takes the optimizer's step, a statistic goes its part of the way. */
  apply(step: number, learningRate: number): void;
}

const PAGE = 65536;
/** Operands of one pass: further slots are added in further passes, which gives the same bits. */
const SLOTS_A_PASS = 8;

/** Name of the state that holds the averages of the parameters over the updates. */
export const AVERAGE = 'average';

export interface UpdaterOptions {
  /** Slots. */
  readonly buffers: number;
  /** Decay of the averages of all parameters, statistics too; see `averageRate`. Default: none are kept. */
  readonly average?: number | undefined;
}

/**
 * Opens an updater for a model's parameters, of which those that are trained stand first. Whoever keeps averages fills their state with
 * the parameters that the first update starts from.
 * @throws RangeError when the optimizer's options contradict each other
 */
export async function openUpdater(
  parameters: readonly ParameterSpec[],
  options: OptimizerOptions,
  { buffers, average }: UpdaterOptions,
): Promise<Updater> {
  const optimizer = optimizerFor(options);
  const stateNames = [...optimizer.state, ...(average === undefined ? [] : [AVERAGE])];
  const floats = parameters.reduce((sum, { size }) => sum + size, 0);
  const stride = alignUp(4 * floats + 64);
  const offsetOf = (index: number) => 64 + index * stride;
  const [atParameters, atGradient] = [offsetOf(0), offsetOf(1)];
  const atState = stateNames.map((_, index) => offsetOf(2 + index));
  const atSlots = Array.from({ length: buffers }, (_, index) => offsetOf(2 + atState.length + index));
  const pages = Math.ceil(offsetOf(2 + atState.length + buffers) / PAGE);
  if (pages > 65536)
    throw new RangeError(
      `${floats} parameters with ${buffers} gradients do not fit the 4 GiB of a WebAssembly memory`,
    );
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });

  const instantiate = (f: FunctionBuilder) => {
    const module = new ModuleBuilder({ pages, shared: false });
    module.add(f, 'run');
    const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { env: { memory } });
    return instance.exports.run as (...numbers: number[]) => void;
  };
  /** A kernel over `count` floats; `scalars` are its arguments, in order. */
  const kernel = (
    count: number,
    expressions: readonly Expression[],
    inputs: readonly number[],
    outputs: readonly number[],
    scalars: readonly string[],
  ) => {
    const f = new FunctionBuilder(scalars.map(() => 'f32'));
    const push = (name: string) => f.get(f.parameter(scalars.indexOf(name))).op('f32x4Splat');
    emitPointwise(
      f,
      [count],
      expressions,
      inputs,
      inputs.map(() => [1]),
      outputs,
      { scalars: push },
    );
    return instantiate(f);
  };

  const trained = parameters.reduce((sum, { size, statistic }) => sum + (statistic ? 0 : size), 0);
  /** One kernel for each range of neighbours that are updated alike; all of them, unless layers are frozen or decay differs. */
  const applyKernels = rangesOfUpdates(parameters, options).map(({ offset, size, decays }) => {
    const own = decays ? optimizer : optimizerFor({ ...options, weightDecay: 0 });
    const follow =
      average === undefined ? [] : [averaged(input(1 + stateNames.length), own.update.parameter)];
    const update = [own.update.parameter, ...own.update.state, ...follow].map(simplify);
    const names = [...Object.keys(own.scalars(0, 1)), ...follow.map(() => 'averageRate')];
    const [at, ...state] = [atParameters, ...atState].map((start) => start + 4 * offset) as [number];
    const run = kernel(size, update, [at, atGradient + 4 * offset, ...state], [at, ...state], names);
    return (step: number, learningRate: number) => {
      const values: Readonly<Record<string, number>> = {
        ...own.scalars(step, learningRate),
        averageRate: averageRate(average ?? 0, step),
      };
      run(...names.map((name) => values[name]!));
    };
  });
  /** Neighbouring statistics that follow at the same rate are one range. */
  const statisticKernels = rangesOfStatistics(parameters).map(({ rate, offset, size }) => {
    const [own, value] = [atParameters + 4 * offset, atGradient + 4 * offset];
    const towards = add(input(0), mul(constant(rate), sub(input(1), input(0))));
    if (average === undefined) return kernel(size, [towards], [own, value], [own], []);
    const kept = atState.at(-1)! + 4 * offset;
    const both = [towards, averaged(input(2), towards)];
    return kernel(size, both, [own, value, kept], [own, kept], ['averageRate']);
  });
  const scaleKernel = kernel(
    trained,
    [mul(input(0), scalar('scale'))],
    [atGradient],
    [atGradient],
    ['scale'],
  );
  /** gradient = (the sum of so many buffers, whose addresses are the arguments) * the last argument. */
  const sumKernels = new Map<number, (...numbers: number[]) => void>();
  const sumKernel = (count: number) => {
    const known = sumKernels.get(count);
    if (known) return known;
    const f = new FunctionBuilder([...new Array<'i32'>(count).fill('i32'), 'f32']);
    const terms = Array.from({ length: count }, (_, index) => input(index));
    emitPointwise(
      f,
      [floats],
      [mul(terms.reduce(add), scalar('scale'))],
      terms.map((_, index) => () => f.get(f.parameter(index))),
      terms.map(() => [1]),
      [atGradient],
      { scalars: () => f.get(f.parameter(count)).op('f32x4Splat') },
    );
    const made = instantiate(f);
    sumKernels.set(count, made);
    return made;
  };

  const allFinite = finiteCheck(memory, instantiate, atGradient, floats);
  const view = (offset: number) => new Float32Array(memory.buffer, offset, floats);
  const gradient = view(atGradient);
  const norms = (): Norms => {
    const squares = parameters.map(({ offset, size, statistic }) => {
      let sum = 0;
      if (statistic) return sum;
      for (let index = offset; index < offset + size; index++) sum += gradient[index]! * gradient[index]!;
      return sum;
    });
    return {
      perParameter: Float64Array.from(squares, Math.sqrt),
      global: Math.sqrt(squares.reduce((a, b) => a + b, 0)),
    };
  };
  return {
    parameters: view(atParameters),
    gradient,
    state: new Map(stateNames.map((name, index) => [name, view(atState[index]!)])),
    slots: atSlots.map(view),
    norms,
    isFinite: allFinite,
    reduce(order, scale) {
      if (order.length === 0 || order.some((slot) => atSlots[slot] === undefined)) {
        throw new RangeError(`reduce: slots [${order.join()}]; expected at least one, each below ${buffers}`);
      }
      for (let start = 0; start < order.length; start += SLOTS_A_PASS) {
        const slots = order.slice(start, start + SLOTS_A_PASS).map((slot) => atSlots[slot]!);
        const addresses = start === 0 ? slots : [atGradient, ...slots];
        const last = start + SLOTS_A_PASS >= order.length;
        sumKernel(addresses.length)(...addresses, last ? scale : 1);
      }
    },
    clip(maxNorm) {
      const { global } = norms();
      if (global > maxNorm) scaleKernel(Math.fround(maxNorm / global));
    },
    apply(step, learningRate) {
      for (const update of applyKernels) update(step, learningRate);
      for (const follow of statisticKernels) follow(averageRate(average ?? 0, step));
    },
  };
}

/** The part of the way that averages go towards the parameters. */
const averaged = (average: Expression, parameter: Expression) =>
  add(average, mul(scalar('averageRate'), sub(parameter, average)));

/**
 * 1 - decay, but more in the first updates, where averages would else be mostly of what training started from:
 * the decay of update t is at most (1 + t) / (10 + t), as in TensorFlow's ExponentialMovingAverage.
 */
const averageRate = (decay: number, step: number) => 1 - Math.min(decay, (1 + step) / (10 + step));

/**
 * Makes a function that says whether all of `floats` floats at `start` are finite: x * 0 is NaN for infinities and NaN alone, and a
 * NaN outlives every sum. Leaves its sums in the first 16 bytes of the memory.
 */
function finiteCheck(
  memory: WebAssembly.Memory,
  instantiate: (f: FunctionBuilder) => (...numbers: number[]) => void,
  start: number,
  floats: number,
): () => boolean {
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
  const whole = floats - (floats % 16);
  const rest = new Float32Array(memory.buffer, start + 4 * whole, floats - whole);
  return () => {
    run(start, start + 4 * whole);
    return found.every((sum) => sum === 0) && rest.every(Number.isFinite);
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
