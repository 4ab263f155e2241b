/**
 * Loops over shapes and strides: pointwise kernels, copies and reductions, as code for one static shape each. The order in which
 * a reduction adds is part of its definition: elements that meet in one output are taken in row-major order of the input.
 */
import type { Node } from '../../graph.ts';
import { collapse, type LoopAxis } from '../../plan/access.ts';
import { type Expression, input } from '../../scalar/expression.ts';
import { type Shape, sizeOf, stridesOf } from '../../shape.ts';
import { FunctionBuilder, type Local } from './assembler.ts';
import { ScalarEmitter } from './emit-scalar.ts';

/** Elements of an inner loop from which two vectors are computed side by side; below, the code is not worth its size. */
const PAIRED = 64;

export interface PointwiseOptions {
  /** Pushes a number that is known only when the kernel runs, in all lanes. */
  readonly scalars?: (name: string) => void;
  /** Of the outputs; without them they lie row-major without gaps. */
  readonly strides?: readonly number[];
}

/**
 * outputs[i][e] = expressions[i] of the inputs' elements, over `shape`. All inputs of an element are read before its outputs
 * are written, so an output may be an input. An input is an address, or a function that pushes one.
 */
export function emitPointwise(
  f: FunctionBuilder,
  shape: readonly number[],
  expressions: readonly Expression[],
  inputs: readonly (number | (() => void))[],
  strides: readonly (readonly number[])[],
  outputs: readonly number[],
  { scalars = () => {}, strides: ofOutputs = stridesOf(shape) }: PointwiseOptions = {},
): void {
  if (shape.includes(0)) return;
  const axes = collapse(shape, [...strides, ...outputs.map(() => ofOutputs)]);
  const pointers = [...inputs, ...outputs].map((address) => {
    const pointer = f.local('i32');
    if (typeof address === 'number') f.i32(address);
    else address();
    f.set(pointer);
    return pointer;
  });
  const inner = axes.at(-1) ?? { extent: 1, strides: pointers.map(() => 0) };
  const vectors = inner.strides.every((stride) => stride === 0 || stride === 1);
  const results = Array.from({ length: 2 * expressions.length }, () => f.local('v128'));
  /** Computes `lanes` elements or vectors side by side, and only then writes them. */
  const body = (
    lanes: 1 | 2,
    read: (index: number, lane: number) => void,
    write: (to: Local, value: Local, lane: number) => void,
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
      for (let lane = 0; lane < lanes; lane++)
        write(pointers[inputs.length + i]!, results[2 * i + lane]!, lane);
    }
  };
  const readVector = (index: number, lane: number) => {
    const pointer = f.get(pointers[index]!);
    if (inner.strides[index] === 0) pointer.memory('v128Load32Splat');
    else pointer.memory('v128Load', 16 * lane);
  };
  const writeVector = (to: Local, value: Local, lane: number) =>
    f
      .get(to)
      .get(value)
      .memory('v128Store', 16 * lane);
  const readOne = (index: number) => f.get(pointers[index]!).memory('v128Load32Zero');
  const moveInner = (elements: number) => {
    for (const [i, pointer] of pointers.entries()) f.advance(pointer, 4 * elements * inner.strides[i]!);
  };
  nest(f, axes.slice(0, -1), pointers, () => {
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
      body(1, readOne, (to, value) => f.get(to).get(value).store32Lane0());
      moveInner(1);
    });
    moveInner(-inner.extent);
  });
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

/** Vectors of outputs that a reduction holds in registers. */
const WIDEST = 8;

export function reduction(
  node: Node,
  axes: readonly number[],
  combine: 'Add' | 'Max',
  start: number,
  x: number,
  y: number,
): FunctionBuilder {
  const f = new FunctionBuilder();
  const { shape } = node.inputs[0]!;
  if (sizeOf(node.shape) === 0) return f;
  const strides = stridesOf(shape);
  const keptAxes = shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const keptShape = keptAxes.map((axis) => shape[axis]!);
  const kept = collapse(keptShape, [keptAxes.map((axis) => strides[axis]!), stridesOf(keptShape)]);
  const reduced = collapse(
    axes.map((axis) => shape[axis]!),
    [axes.map((axis) => strides[axis]!)],
  );
  const [from, to] = [f.local('i32'), f.local('i32')];
  f.i32(x).set(from).i32(y).set(to);
  const vectors = Array.from({ length: WIDEST }, () => f.local('v128'));
  const single = f.local('f32');
  const oneOutput = () => {
    f.f32(start).set(single);
    nest(f, reduced, [from], () => f.get(single).get(from).memory('f32Load').op(`f32${combine}`).set(single));
    f.get(to).get(single).memory('f32Store');
  };
  /** So many vectors of neighbouring outputs, whose inputs are neighbours too. */
  const vectorOutputs = (count: number) => {
    const own = vectors.slice(0, count);
    for (const vector of own) f.f32x4(start).set(vector);
    nest(f, reduced, [from], () => {
      for (const [i, vector] of own.entries()) {
        f.get(vector)
          .get(from)
          .memory('v128Load', 16 * i)
          .op(`f32x4${combine}`)
          .set(vector);
      }
    });
    for (const [i, vector] of own.entries()) {
      f.get(to)
        .get(vector)
        .memory('v128Store', 16 * i);
    }
    f.advance(from, 16 * count).advance(to, 16 * count);
  };
  const inner = kept.at(-1);
  if (inner?.strides[0] !== 1) {
    nest(f, kept, [from, to], oneOutput);
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

/** Writes the same number to elements that follow one another. */
export function emitFill(f: FunctionBuilder, address: number, count: number, value: number): void {
  const to = f.local('i32');
  f.i32(address).set(to);
  f.repeat(Math.floor(count / 4), () => f.get(to).f32x4(value).memory('v128Store').advance(to, 16));
  f.repeat(count % 4, () => f.get(to).f32(value).memory('f32Store').advance(to, 4));
}

/** Copies elements from where some strides lead to where others do. */
export function emitCopy(
  f: FunctionBuilder,
  shape: Shape,
  from: { readonly address: number; readonly strides: readonly number[] },
  to: { readonly address: number; readonly strides: readonly number[] },
): void {
  emitPointwise(f, shape, [input(0)], [from.address], [from.strides], [to.address], { strides: to.strides });
}
