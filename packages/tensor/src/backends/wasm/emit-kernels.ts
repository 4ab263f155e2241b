/**
 * Kernels other than the matrix product, as code for one static shape each. The order in which a reduction adds is
 * part of its definition: elements that meet in one output are taken in row-major order of the input.
 */
import type { Node } from '../../graph.ts';
import { dropoutMaskOp, dropoutScale, dropoutThreshold } from '../../ops/dropout-mask.ts';
import type { KernelOpName } from '../../ops/index.ts';
import { matmulOp, matmulSizes } from '../../ops/matmul.ts';
import { attributesOf } from '../../ops/op.ts';
import { maxReduceOp, sumOp } from '../../ops/reduce.ts';
import { collapse, type LoopAxis } from '../../plan/access.ts';
import type { PlanStep } from '../../plan/plan.ts';
import type { Expression } from '../../scalar/expression.ts';
import { sizeOf, stridesOf } from '../../shape.ts';
import { FunctionBuilder, type Local } from './assembler.ts';
import { ScalarEmitter } from './emit-scalar.ts';
import { buildGemm, type KernelName } from './gemm.ts';

export interface KernelContext {
  /** Byte offset of a tensor. */
  readonly place: (node: Node) => number;
  readonly scratch: number;
  readonly gemm: KernelName;
}

/** A function without parameters that runs one step of a plan. */
export function buildStep(
  step: PlanStep,
  context: KernelContext,
  addFunction: (f: FunctionBuilder) => number,
): FunctionBuilder {
  const { output } = step;
  if (step.kind === 'pointwise') {
    const pointers = step.operands.map(({ base }) => context.place(base));
    const f = new FunctionBuilder();
    const strides = step.operands.map((operand) => operand.strides);
    emitPointwise(f, output.shape, [step.expression], [...pointers], strides, [context.place(output)]);
    return f;
  }
  const emit = kernels[output.op as Exclude<KernelOpName, 'broadcast' | 'transpose'>];
  return emit(output, step.inputs.map(context.place), context.place(output), context, addFunction);
}

type Emit = (
  node: Node,
  inputs: readonly number[],
  output: number,
  context: KernelContext,
  addFunction: (f: FunctionBuilder) => number,
) => FunctionBuilder;

/** Broadcast and transpose are pointwise steps with other strides. */
const kernels: Readonly<Record<Exclude<KernelOpName, 'broadcast' | 'transpose'>, Emit>> = {
  matmul: (node, [a, b], c, { scratch, gemm }, addFunction) => {
    const product = addFunction(buildGemm({ ...matmulSizes(node), ...attributesOf(matmulOp, node) }, gemm));
    return new FunctionBuilder().i32(a!).i32(b!).i32(c).i32(scratch).call(product);
  },
  sum: (node, [x], y) => reduction(node, attributesOf(sumOp, node).axes, 'Add', 0, x!, y),
  maxReduce: (node, [x], y) => reduction(node, attributesOf(maxReduceOp, node).axes, 'Max', -Infinity, x!, y),

  oneHot: (node, [labels], y) => {
    const f = new FunctionBuilder();
    const classes = node.shape.at(-1)!;
    const [from, to, place] = [f.local('i32'), f.local('i32'), f.local('i32')];
    f.i32(labels!).set(from).i32(y).set(to);
    f.repeat(sizeOf(node.shape) / classes, () => {
      f.i32(0).set(place);
      f.repeat(classes, () => {
        f.get(to)
          .f32(1)
          .f32(0)
          .get(place)
          .get(from)
          .memory('i32Load')
          .op('i32Eq', 'select')
          .memory('f32Store');
        f.advance(to, 4).advance(place, 1);
      });
      f.advance(from, 4);
    });
    return f;
  },

  argmaxEquals: (node, [scores, labels], y) => {
    const f = new FunctionBuilder();
    const classes = node.inputs[0]!.shape.at(-1)!;
    const [from, label, to] = [f.local('i32'), f.local('i32'), f.local('i32')];
    const [place, best, largest] = [f.local('i32'), f.local('i32'), f.local('f32')];
    f.i32(scores!).set(from).i32(labels!).set(label).i32(y).set(to);
    f.repeat(sizeOf(node.shape), () => {
      f.i32(0).tee(place).set(best).get(from).memory('f32Load').set(largest);
      f.repeat(classes, () => {
        f.get(place).get(best).get(from).memory('f32Load').get(largest).op('f32Gt', 'select').set(best);
        f.get(from).memory('f32Load').get(largest);
        f.get(from).memory('f32Load').get(largest).op('f32Gt', 'select').set(largest);
        f.advance(from, 4).advance(place, 1);
      });
      f.get(to).f32(1).f32(0).get(best).get(label).memory('i32Load').op('i32Eq', 'select').memory('f32Store');
      f.advance(label, 4).advance(to, 4);
    });
    return f;
  },

  dropoutMask: (node, [ids, key], y) => dropoutMask(node, ids!, key!, y),
};

/**
 * outputs[i][e] = expressions[i] of the inputs' elements, over `shape`; outputs lie row-major without gaps. All inputs of
 * an element are read before its outputs are written, so an output may be an input. An input is an address, or a function
 * that pushes one.
 */
export function emitPointwise(
  f: FunctionBuilder,
  shape: readonly number[],
  expressions: readonly Expression[],
  inputs: readonly (number | (() => void))[],
  strides: readonly (readonly number[])[],
  outputs: readonly number[],
  scalars: (name: string) => void = () => {},
): void {
  if (shape.includes(0)) return;
  const own = stridesOf(shape);
  const axes = collapse(shape, [...strides, ...outputs.map(() => own)]);
  const pointers = [...inputs, ...outputs].map((address) => {
    const pointer = f.local('i32');
    if (typeof address === 'number') f.i32(address);
    else address();
    f.set(pointer);
    return pointer;
  });
  const inner = axes.at(-1) ?? { extent: 1, strides: pointers.map(() => 0) };
  const vectors = inner.strides.every((stride) => stride <= 1);
  const results = expressions.map(() => f.local('v128'));
  const body = (read: (index: number) => void, write: (to: Local, value: Local) => void) => {
    const emitter = new ScalarEmitter(f, { input: read, scalar: scalars }, expressions);
    expressions.forEach((expression, i) => {
      emitter.emit(expression);
      f.set(results[i]!);
    });
    for (const [i, result] of results.entries()) write(pointers[inputs.length + i]!, result);
  };
  const readVector = (index: number) => {
    f.get(pointers[index]!).memory(inner.strides[index] === 0 ? 'v128Load32Splat' : 'v128Load');
  };
  const readOne = (index: number) => f.get(pointers[index]!).memory('v128Load32Zero');
  const moveInner = (elements: number) => {
    for (const [i, pointer] of pointers.entries()) f.advance(pointer, 4 * elements * inner.strides[i]!);
  };
  nest(f, axes.slice(0, -1), pointers, () => {
    const whole = vectors ? Math.floor(inner.extent / 4) : 0;
    f.repeat(whole, () => {
      body(readVector, (to, value) => f.get(to).get(value).memory('v128Store'));
      moveInner(4);
    });
    f.repeat(inner.extent - 4 * whole, () => {
      body(readOne, (to, value) => f.get(to).get(value).store32Lane0());
      moveInner(1);
    });
    moveInner(-inner.extent);
  });
}

/** Loops over axes, outermost first; the body finds the pointers at its element and leaves them there. */
function nest(
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

function reduction(
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
  const vector = f.local('v128');
  const single = f.local('f32');
  const oneOutput = () => {
    f.f32(start).set(single);
    nest(f, reduced, [from], () => f.get(single).get(from).memory('f32Load').op(`f32${combine}`).set(single));
    f.get(to).get(single).memory('f32Store');
  };
  const fourOutputs = () => {
    f.f32x4(start).set(vector);
    nest(f, reduced, [from], () =>
      f.get(vector).get(from).memory('v128Load').op(`f32x4${combine}`).set(vector),
    );
    f.get(to).get(vector).memory('v128Store');
  };
  const inner = kept.at(-1);
  if (inner?.strides[0] !== 1) {
    nest(f, kept, [from, to], oneOutput);
    return f;
  }
  // Neighbouring outputs take neighbouring inputs: four at a time.
  nest(f, kept.slice(0, -1), [from, to], () => {
    const whole = Math.floor(inner.extent / 4);
    f.repeat(whole, () => {
      fourOutputs();
      f.advance(from, 16).advance(to, 16);
    });
    f.repeat(inner.extent - 4 * whole, () => {
      oneOutput();
      f.advance(from, 4).advance(to, 4);
    });
    f.advance(from, -4 * inner.extent).advance(to, -4 * inner.extent);
  });
  return f;
}

const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57] as const;
const WEYL = [0x9e3779b9, 0xbb67ae85] as const;
const ROUNDS = 10;

/**
 * Philox 4x32-10, four counters at a time (one a lane), so 16 elements. A row's last group may reach beyond the row: the
 * next row overwrites it, and after the last one the arena leaves room.
 */
function dropoutMask(node: Node, ids: number, key: number, y: number): FunctionBuilder {
  const f = new FunctionBuilder();
  const { layer, rate, shape } = attributesOf(dropoutMaskOp, node);
  const size = sizeOf(shape);
  if (sizeOf(node.shape) === 0) return f;
  const [id, to, row] = [f.local('i32'), f.local('i32'), f.local('i32')];
  const c = [0, 1, 2, 3].map(() => f.local('v128')) as [Local, Local, Local, Local];
  const keys = [f.local('v128'), f.local('v128')] as const;
  const [group, low, high, next0, next2] = [0, 1, 2, 3, 4].map(() => f.local('v128')) as [
    Local,
    Local,
    Local,
    Local,
    Local,
  ];

  // Constants stand in locals: V8 would build them anew at each use.
  const constantLocal = (value: number) => {
    const local = f.local('v128');
    f.i32x4(value).set(local);
    return local;
  };
  const multipliers = MULTIPLIERS.map(constantLocal) as [Local, Local];
  const weyl = WEYL.map(constantLocal) as [Local, Local];
  /** high and low halves of the products of four lanes with a constant */
  const multiply = (lanes: Local, multiplier: Local) => {
    f.get(lanes).get(multiplier).op('i64x2ExtmulLowU').set(low);
    f.get(lanes).get(multiplier).op('i64x2ExtmulHighU').set(high);
    f.get(low).get(high).shuffle32(0, 2, 4, 6);
    f.get(low).get(high).shuffle32(1, 3, 5, 7).set(high);
    f.set(low);
  };

  f.i32(ids).set(id).i32(y).set(row);
  f.repeat(node.shape[0]!, () => {
    f.i32x4(0, 1, 2, 3).set(group).get(row).set(to);
    f.repeat(Math.ceil(size / 16), () => {
      f.get(group).set(c[0]);
      f.get(id).memory('v128Load32Splat').set(c[1]);
      f.i32(key).memory('v128Load32Splat', 8).set(c[2]);
      f.i32x4(layer).set(c[3]);
      for (const word of [0, 1] as const)
        f.i32(key)
          .memory('v128Load32Splat', 4 * word)
          .set(keys[word]);
      for (let round = 0; round < ROUNDS; round++) {
        multiply(c[2], multipliers[1]);
        f.get(high).get(c[1]).op('v128Xor').get(keys[0]).op('v128Xor').set(next0);
        f.get(low).set(c[1]);
        multiply(c[0], multipliers[0]);
        f.get(high).get(c[3]).op('v128Xor').get(keys[1]).op('v128Xor').set(next2);
        f.get(low).set(c[3]);
        f.get(next0).set(c[0]).get(next2).set(c[2]);
        for (const word of [0, 1] as const) f.get(keys[word]).get(weyl[word]).op('i32x4Add').set(keys[word]);
      }
      for (const words of c) {
        f.f32x4(dropoutScale(rate)).get(words).i32(8).op('i32x4ShrU').i32x4(dropoutThreshold(rate));
        f.op('i32x4GeU', 'v128And').set(words);
      }
      // Lane l of word w is element 4 l + w: transpose the four vectors.
      const [first, second] = [next0, next2];
      for (const half of [0, 2]) {
        f.get(c[0])
          .get(c[1])
          .shuffle32(half, 4 + half, half + 1, 5 + half)
          .set(first);
        f.get(c[2])
          .get(c[3])
          .shuffle32(half, 4 + half, half + 1, 5 + half)
          .set(second);
        f.get(to)
          .get(first)
          .get(second)
          .shuffle32(0, 1, 4, 5)
          .memory('v128Store', 16 * half);
        f.get(to)
          .get(first)
          .get(second)
          .shuffle32(2, 3, 6, 7)
          .memory('v128Store', 16 * half + 16);
      }
      f.get(group).i32x4(4).op('i32x4Add').set(group);
      f.advance(to, 64);
    });
    f.advance(id, 4).advance(row, 4 * size);
  });
  return f;
}
