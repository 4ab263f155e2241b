/** Loops over the tensors in an updater's memory, and the memory: one tensor after another, then the chunks. */
import { FunctionBuilder, ModuleBuilder } from '../../assembler.ts';
import { alignUp } from '../../plan/arena.ts';
import type { Expression } from '../../scalar/expression.ts';
import type { Address } from './address.ts';
import { emitPointwise } from './emit-loops.ts';
import { PAGE } from './memory.ts';

/** Operands of one pass: further parts are added in further passes, which gives the same bits. */
export const PARTS_A_PASS = 8;
/** Sums of several passes that wait for one another, at most: the logarithm of the number of parts. */
export const PLACES = 24;
/** Floats of each part that are copied into the memory and added at a time: together they stay in the second-level cache. */
export const CHUNK = 1 << 14;

/** Byte offsets of the tensors, which are flat and of one length, and of the chunks: those of parts, and then those of sums that wait. */
export interface Addresses {
  readonly parameters: number;
  readonly gradient: number;
  readonly state: readonly number[];
  readonly chunks: readonly number[];
}

/**
 * A memory for so many parameters and their state.
 * @throws RangeError when they do not fit in one
 */
export function allocate(
  floats: number,
  states: number,
): { readonly memory: WebAssembly.Memory; readonly addresses: Addresses } {
  const stride = alignUp(4 * floats + 64);
  const offsetOf = (index: number) => 64 + index * stride;
  const chunks = Array.from(
    { length: PARTS_A_PASS + PLACES },
    (_, index) => offsetOf(2 + states) + 4 * CHUNK * index,
  );
  const pages = Math.ceil((chunks.at(-1)! + 4 * CHUNK) / PAGE);
  if (pages > 65536)
    throw new RangeError(
      `${floats} parameters and ${states} numbers of state for each do not fit in the 4 GiB of a WebAssembly memory`,
    );
  const state = Array.from({ length: states }, (_, index) => offsetOf(2 + index));
  return {
    memory: new WebAssembly.Memory({ initial: pages, maximum: pages }),
    addresses: { parameters: offsetOf(0), gradient: offsetOf(1), state, chunks },
  };
}

/** Makes a function of the emitted one, over the updater's memory. */
export type Instantiate = (f: FunctionBuilder) => (...numbers: number[]) => void;

export function instantiatorOver(memory: WebAssembly.Memory): Instantiate {
  const pages = memory.buffer.byteLength / PAGE;
  return (f) => {
    const module = new ModuleBuilder({ pages, shared: false });
    module.add(f, 'run');
    const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { env: { memory } });
    return instance.exports.run as (...numbers: number[]) => void;
  };
}

/** One loop over tensors in the updater's memory. */
export interface Loop {
  /** What it computes, as a key. */
  readonly key: string;
  readonly expressions: readonly Expression[];
  /** Addresses of the tensors that it reads, before these chunks, and writes. */
  readonly inputs: readonly number[];
  readonly chunks?: readonly number[];
  readonly outputs: readonly number[];
  /** The chunk that it writes in place of a tensor. */
  readonly outputChunk?: number | undefined;
  /** Names of its arguments. */
  readonly scalars: readonly string[];
}

/** Runs a loop over `count` floats of tensors that begin at its addresses, from the float `start` of each on; of chunks from their beginning. */
export type RunLoop = (loop: Loop, start: number, count: number, values: readonly number[]) => void;

/** Compiles loops when they are first run. */
export function loopRunner(instantiate: Instantiate): RunLoop {
  /** By what they compute and for how many floats: there are few lengths, those of parts and what ranges leave of them. */
  const compiled = new Map<string, (...numbers: number[]) => void>();
  return (loop, start, count, values) => {
    const name = `${loop.key} ${count}`;
    let run = compiled.get(name);
    if (!run) {
      run = instantiate(emitLoop(loop, count));
      compiled.set(name, run);
    }
    run(4 * start, ...values);
  };
}

function emitLoop(
  { expressions, inputs, chunks = [], outputs, outputChunk, scalars }: Loop,
  count: number,
): FunctionBuilder {
  const f = new FunctionBuilder(['i32', ...scalars.map(() => 'f32' as const)]);
  const moving = (at: number): Address => ({ at, by: 'start', push: () => f.get(f.parameter(0)) });
  const from = [...inputs.map(moving), ...chunks];
  const to = outputChunk === undefined ? outputs.map(moving) : [outputChunk];
  emitPointwise(
    f,
    [count],
    expressions,
    from,
    from.map(() => [1]),
    to,
    { scalars: (scalar) => f.get(f.parameter(1 + scalars.indexOf(scalar))).op('f32x4Splat') },
  );
  return f;
}
