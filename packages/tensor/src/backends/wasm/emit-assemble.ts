/** Kernels that put tensors together: padding, concatenation, the sum of windows, and counting. */

import { FunctionBuilder } from '../../assembler.ts';
import type { Node } from '../../graph.ts';
import { iotaOp } from '../../ops/leaf.ts';
import { attributesOf } from '../../ops/op.ts';
import { concatOp, padOp } from '../../ops/parts.ts';
import { foldOp } from '../../ops/window.ts';
import { add, input } from '../../scalar/expression.ts';
import { sizeOf, stridesOf } from '../../shape.ts';
import { type Address, behind } from './address.ts';
import { emitCopy, emitFill, emitPointwise } from './emit-loops.ts';

export function padKernel(node: Node, x: number, y: number): FunctionBuilder {
  const f = new FunctionBuilder();
  const { low, interior, value } = attributesOf(padOp, node);
  const strides = stridesOf(node.shape);
  const offset = low.reduce((sum, before, axis) => sum + before * strides[axis]!, 0);
  const { shape } = node.inputs[0]!;
  emitFill(f, y, sizeOf(node.shape), value);
  emitCopy(
    f,
    shape,
    { address: x, strides: stridesOf(shape) },
    { address: y + 4 * offset, strides: strides.map((stride, axis) => stride * (interior[axis]! + 1)) },
  );
  return f;
}

export function concatKernel(node: Node, inputs: readonly number[], y: number): FunctionBuilder {
  const f = new FunctionBuilder();
  const { axis } = attributesOf(concatOp, node);
  const strides = stridesOf(node.shape);
  let address = y;
  for (const [i, x] of inputs.entries()) {
    const { shape } = node.inputs[i]!;
    emitCopy(f, shape, { address: x, strides: stridesOf(shape) }, { address, strides });
    address += 4 * shape[axis]! * strides[axis]!;
  }
  return f;
}

export function foldKernel(node: Node, x: Address, y: Address, f = new FunctionBuilder()): FunctionBuilder {
  const { axis, size, stride, dilation } = attributesOf(foldOp, node);
  const { shape } = node.inputs[0]!;
  emitFill(f, y, sizeOf(node.shape), 0);
  const own = stridesOf(shape);
  const without = (strides: readonly number[], at: number) => strides.filter((_, i) => i !== at);
  const from = without(own, axis + 1);
  const to = stridesOf(node.shape).map((step, i) => (i === axis ? step * stride : step));
  const row = stridesOf(node.shape)[axis]!;
  for (let place = 0; place < size; place++) {
    const target = behind(y, 4 * place * dilation * row);
    emitPointwise(
      f,
      without(shape, axis + 1),
      [add(input(0), input(1))],
      [target, behind(x, 4 * place * own[axis + 1]!)],
      [to, from],
      [target],
      { strides: [to] },
    );
  }
  return f;
}

export function iotaKernel(node: Node, y: number): FunctionBuilder {
  const f = new FunctionBuilder();
  const { axis } = attributesOf(iotaOp, node);
  if (sizeOf(node.shape) === 0) return f;
  const inner = sizeOf(node.shape.slice(axis + 1));
  const [to, count] = [f.local('i32'), f.local('f32')];
  f.i32(y).set(to);
  f.repeat(sizeOf(node.shape.slice(0, axis)), () => {
    f.f32(0).set(count);
    f.repeat(node.shape[axis]!, () => {
      f.repeat(inner, () => f.get(to).get(count).memory('f32Store').advance(to, 4));
      f.get(count).f32(1).op('f32Add').set(count);
    });
  });
  return f;
}
