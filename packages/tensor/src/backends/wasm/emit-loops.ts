/** Loops over shapes and strides: pointwise kernels and copies, as code for one static shape each. */

import type { FunctionBuilder, Local } from '../../assembler.ts';
import { collapse, type LoopAxis } from '../../plan/access.ts';
import { type Expression, input } from '../../scalar/expression.ts';
import { type Shape, stridesOf } from '../../shape.ts';
import { type Address, setAddress } from './address.ts';
import { cutOf, emitParts, LINE, ofPart, type Team } from './cut.ts';
import { ScalarEmitter } from './emit-scalar.ts';

/** Elements of an inner loop from which two vectors are computed side by side; below, the code is not worth its size. */
const PAIRED = 64;

export interface PointwiseOptions {
  /** Pushes a number that is known only when the kernel runs, in all lanes. */
  readonly scalars?: (name: string) => void;
  /** One list an output; without them outputs lie row-major without gaps. */
  readonly strides?: readonly (readonly number[])[];
}

/**
 * outputs[i][e] = expressions[i] of the inputs' elements, over `shape`. All inputs of an element are read before its outputs
 * are written, so an output may be an input.
 */
export function emitPointwise(
  f: FunctionBuilder,
  shape: readonly number[],
  expressions: readonly Expression[],
  inputs: readonly Address[],
  strides: readonly (readonly number[])[],
  outputs: readonly Address[],
  { scalars = () => {}, strides: ofOutputs = outputs.map(() => stridesOf(shape)) }: PointwiseOptions = {},
): void {
  if (shape.includes(0)) return;
  const axes = collapse(shape, [...strides, ...ofOutputs]);
  const { walks, places } = walksOf(f, [...inputs, ...outputs], axes);
  const inner = axes.at(-1) ?? { extent: 1, strides: places.map(() => 0) };
  const vectors = inner.strides.every((stride) => stride === 0 || stride === 1);
  const results = Array.from({ length: 2 * expressions.length }, () => f.local('v128'));
  /** Computes `lanes` elements or vectors side by side, and only then writes them. */
  const body = (
    lanes: 1 | 2,
    read: (index: number, lane: number) => void,
    write: (index: number, value: Local, lane: number) => void,
  ) => {
    for (let lane = 0; lane < lanes; lane++) {
      const emitter = new ScalarEmitter(
        f,
        { input: (index) => read(index, lane), scalar: scalars },
        expressions,
      );
      expressions.forEach((expression, i) => {
        emitter.emit(expression);
        f.set(results[2 * i + lane]!);
      });
    }
    for (let i = 0; i < expressions.length; i++) {
      for (let lane = 0; lane < lanes; lane++) write(inputs.length + i, results[2 * i + lane]!, lane);
    }
  };
  const readVector = (index: number, lane: number) => {
    const { pointer, offset } = places[index]!;
    f.get(pointer);
    if (inner.strides[index] === 0) f.memory('v128Load32Splat', offset);
    else f.memory('v128Load', offset + 16 * lane);
  };
  const writeVector = (index: number, value: Local, lane: number) => {
    const { pointer, offset } = places[index]!;
    f.get(pointer)
      .get(value)
      .memory('v128Store', offset + 16 * lane);
  };
  const readOne = (index: number) =>
    f.get(places[index]!.pointer).memory('v128Load32Zero', places[index]!.offset);
  const writeOne = (index: number, value: Local) =>
    f.get(places[index]!.pointer).get(value).store32Lane0(places[index]!.offset);
  const innerStrides = walks.map(({ strides: of }) => of.at(-1) ?? 0);
  const pointers = walks.map(({ pointer }) => pointer);
  const moveInner = (elements: number) => {
    for (const [i, pointer] of pointers.entries()) f.advance(pointer, 4 * elements * innerStrides[i]!);
  };
  const outer = axes
    .slice(0, -1)
    .map(({ extent }, axis) => ({ extent, strides: walks.map((walk) => walk.strides[axis]!) }));
  nest(f, outer, pointers, () => {
    const whole = vectors ? Math.floor(inner.extent / 4) : 0;
    // Two vectors side by side: the engine pairs their operations into 256-bit ones.
    const pairs = inner.extent >= PAIRED ? Math.floor(whole / 2) : 0;
    f.repeat(pairs, () => {
      body(2, readVector, writeVector);
      moveInner(8);
    });
    f.repeat(whole - 2 * pairs, () => {
      body(1, readVector, writeVector);
      moveInner(4);
    });
    f.repeat(inner.extent - 4 * whole, () => {
      body(1, readOne, writeOne);
      moveInner(1);
    });
    moveInner(-inner.extent);
  });
}

/** A way through memory that one or more tensors share. */
interface Walk {
  readonly pointer: Local;
  /** Elements from one round of a loop to the next, one a loop. */
  readonly strides: readonly number[];
}

/**
 * One pointer for all tensors with the same strides that move together, at the lowest of their addresses: the others are a constant away,
 * which costs nothing where memory is read.
 */
function walksOf(
  f: FunctionBuilder,
  addresses: readonly Address[],
  axes: readonly LoopAxis[],
): { walks: Walk[]; places: { readonly pointer: Local; readonly offset: number }[] } {
  const shared = new Map<string, Walk & { lowest: Address }>();
  const at = (address: Address) => (typeof address === 'number' ? address : address.at);
  const walks = addresses.map((address, i) => {
    const strides = axes.map((axis) => axis.strides[i]!);
    const key = [typeof address === 'number' ? '' : address.by, ...strides].join();
    const walk = shared.get(key) ?? { pointer: f.local('i32'), strides, lowest: address };
    shared.set(key, walk);
    if (at(address) < at(walk.lowest)) walk.lowest = address;
    return walk;
  });
  for (const { pointer, lowest } of shared.values()) setAddress(f, pointer, lowest);
  const places = addresses.map((address, i) => ({
    pointer: walks[i]!.pointer,
    offset: at(address) - at(walks[i]!.lowest),
  }));
  return { walks: [...shared.values()], places };
}

/** Loops over axes, outermost first; the body finds the pointers at its element and leaves them there. */
export function nest(
  f: FunctionBuilder,
  axes: readonly LoopAxis[],
  pointers: readonly Local[],
  body: () => void,
): void {
  const [axis, ...rest] = axes;
  if (!axis) {
    body();
    return;
  }
  const move = (elements: number) => {
    for (const [i, pointer] of pointers.entries()) f.advance(pointer, 4 * elements * axis.strides[i]!);
  };
  f.repeat(axis.extent, () => {
    nest(f, rest, pointers, body);
    move(1);
  });
  move(-axis.extent);
}

/** Writes the same number to elements that follow one another. */
export function emitFill(f: FunctionBuilder, address: Address, count: number, value: number): void {
  const to = f.local('i32');
  setAddress(f, to, address);
  f.repeat(Math.floor(count / 4), () => f.get(to).f32x4(value).memory('v128Store').advance(to, 16));
  f.repeat(count % 4, () => f.get(to).f32(value).memory('f32Store').advance(to, 4));
}

/** Writes zeros, by all threads if there are several, which then wait for each other. */
export function emitZeros(f: FunctionBuilder, to: number, count: number, team: Team | undefined): void {
  if (!team) {
    emitFill(f, to, count, 0);
    return;
  }
  const cut = cutOf(count, team.threads, LINE);
  emitParts(f, cut, team.threads, (own) => emitFill(f, ofPart(f, cut, to, 4), own, 0));
  f.call(team.barrier);
}

/** Copies elements from where some strides lead to where others do. */
export function emitCopy(
  f: FunctionBuilder,
  shape: Shape,
  from: { readonly address: number; readonly strides: readonly number[] },
  to: { readonly address: number; readonly strides: readonly number[] },
): void {
  emitPointwise(f, shape, [input(0)], [from.address], [from.strides], [to.address], {
    strides: [to.strides],
  });
}
