/** Kernels on integers: rows by number, classes, largest places. */

import { FunctionBuilder, type Local } from '../../assembler.ts';
import type { Node } from '../../graph.ts';
import { rowsOf } from '../../ops/gather.ts';
import { checkLabelsOp, labelsPerSample } from '../../ops/labels.ts';
import { attributesOf } from '../../ops/op.ts';
import { sizeOf } from '../../shape.ts';
import { type Address, setAddress } from './address.ts';
import { FAULT_ADDRESS } from './fault.ts';

export function gatherKernel(node: Node, table: number, indices: number, y: number): FunctionBuilder {
  const f = new FunctionBuilder();
  const row = sizeOf(node.inputs[0]!.shape.slice(1));
  const to = f.local('i32');
  f.i32(y).set(to);
  eachIndex(f, node, indices, row, table, (from) => {
    eachVector(f, row, [from, to], (load, store) => {
      f.get(to).get(from).memory(load).memory(store);
    });
  });
  return f;
}

/** Runs the body with the address of the row of so many elements that each index names, in a table at `rows`; traps at the first that names none. */
export function eachIndex(
  f: FunctionBuilder,
  node: Node,
  indices: number,
  row: number,
  rows: number,
  body: (address: Local) => void,
): void {
  const limit = rowsOf(node);
  const [from, index, address] = [f.local('i32'), f.local('i32'), f.local('i32')];
  f.i32(indices).set(from);
  f.repeat(sizeOf(node.inputs[1]!.shape), () => {
    f.get(from).memory('i32Load').tee(index).i32(limit).op('i32GeU');
    f.when(() => {
      f.i32(FAULT_ADDRESS).get(index).memory('i32Store');
      f.i32(FAULT_ADDRESS).i32(limit).memory('i32Store', 4);
      f.i32(FAULT_ADDRESS).i32(0).memory('i32Store', 12).op('unreachable');
    });
    f.get(index)
      .i32(4 * row)
      .op('i32Mul')
      .i32(rows)
      .op('i32Add')
      .set(address);
    body(address);
    f.advance(from, 4);
  });
}

/** Runs the body for each vector of a row and each single element of its rest; the pointers move on. */
function eachVector(
  f: FunctionBuilder,
  row: number,
  pointers: readonly Local[],
  body: (load: 'v128Load' | 'f32Load', store: 'v128Store' | 'f32Store') => void,
): void {
  f.repeat(Math.floor(row / 4), () => {
    body('v128Load', 'v128Store');
    for (const pointer of pointers) f.advance(pointer, 16);
  });
  f.repeat(row % 4, () => {
    body('f32Load', 'f32Store');
    for (const pointer of pointers) f.advance(pointer, 4);
  });
}

export function toIndexKernel(node: Node, x: number, y: number): FunctionBuilder {
  const f = new FunctionBuilder();
  const [from, to, value] = [f.local('i32'), f.local('i32'), f.local('v128')];
  f.i32(x).set(from).i32(y).set(to);
  f.repeat(sizeOf(node.shape), () => {
    f.get(to).get(from).memory('v128Load32Zero').tee(value).op('i32x4TruncSatS').i32x4(-1);
    f.get(value).get(value).op('f32x4Floor', 'f32x4Eq');
    f.get(value)
      .op('f32x4Abs')
      .f32x4(2 ** 31)
      .op('f32x4Lt', 'v128And', 'v128Bitselect')
      .set(value);
    f.get(value).store32Lane0().advance(from, 4).advance(to, 4);
  });
  return f;
}

/** Copies labels; traps at the first that is no class. */
export function checkLabelsKernel(node: Node, labels: number, y: number): FunctionBuilder {
  const f = new FunctionBuilder();
  const { classes } = attributesOf(checkLabelsOp, node);
  const [from, to, label] = [f.local('i32'), f.local('i32'), f.local('i32')];
  f.i32(labels).set(from).i32(y).set(to);
  f.repeat(sizeOf(node.shape), () => {
    f.get(from).memory('i32Load').tee(label).i32(classes).op('i32GeU');
    f.when(() => {
      f.i32(FAULT_ADDRESS).get(label).memory('i32Store');
      f.i32(FAULT_ADDRESS).i32(classes).memory('i32Store', 4);
      f.i32(FAULT_ADDRESS).get(from).i32(labels).op('i32Sub').i32(2).op('i32ShrU').memory('i32Store', 8);
      f.i32(FAULT_ADDRESS).i32(labelsPerSample(node)).memory('i32Store', 12).op('unreachable');
    });
    f.get(to).get(label).memory('i32Store').advance(from, 4).advance(to, 4);
  });
  return f;
}

/** Leaves the place of the largest of `count` elements in `best`, and it in `largest`; `from` moves behind them. */
function findLargest(f: FunctionBuilder, from: Local, count: number, best: Local, largest: Local): void {
  const [place, larger] = [f.local('i32'), f.local('i32')];
  f.i32(0).tee(place).set(best).get(from).memory('f32Load').set(largest);
  f.repeat(count, () => {
    // Not "greater": NaN is larger than all numbers, and nothing than NaN.
    f.get(from).memory('f32Load').get(largest).op('f32Le', 'i32Eqz');
    f.get(largest).get(largest).op('f32Eq', 'i32And').set(larger);
    f.get(place).get(best).get(larger).op('select').set(best);
    f.get(from).memory('f32Load').get(largest).get(larger).op('select').set(largest);
    f.advance(from, 4).advance(place, 1);
  });
}

export function argmax(node: Node, scores: Address, y: Address, f = new FunctionBuilder()): FunctionBuilder {
  const [from, to, best] = [f.local('i32'), f.local('i32'), f.local('i32')];
  const largest = f.local('f32');
  setAddress(f, from, scores);
  setAddress(f, to, y);
  f.repeat(sizeOf(node.shape), () => {
    findLargest(f, from, node.inputs[0]!.shape.at(-1)!, best, largest);
    f.get(to).get(best).memory('i32Store').advance(to, 4);
  });
  return f;
}

export function argmaxEquals(
  node: Node,
  scores: Address,
  labels: Address,
  y: Address,
  f = new FunctionBuilder(),
): FunctionBuilder {
  const [from, label, to, best] = [f.local('i32'), f.local('i32'), f.local('i32'), f.local('i32')];
  const largest = f.local('f32');
  setAddress(f, from, scores);
  setAddress(f, label, labels);
  setAddress(f, to, y);
  f.repeat(sizeOf(node.shape), () => {
    findLargest(f, from, node.inputs[0]!.shape.at(-1)!, best, largest);
    f.get(to).f32(1).f32(0).get(best).get(label).memory('i32Load').op('i32Eq');
    f.get(largest).get(largest).op('f32Eq', 'i32And', 'select').memory('f32Store');
    f.advance(label, 4).advance(to, 4);
  });
  return f;
}

export function oneHot(node: Node, labels: Address, y: Address, f = new FunctionBuilder()): FunctionBuilder {
  const classes = node.shape.at(-1)!;
  const [from, to, label] = [f.local('i32'), f.local('i32'), f.local('i32')];
  setAddress(f, from, labels);
  setAddress(f, to, y);
  f.repeat(sizeOf(node.inputs[0]!.shape), () => {
    eachVector(f, classes, [to], (_, store) => {
      f.get(to);
      if (store === 'v128Store') f.f32x4(0);
      else f.f32(0);
      f.memory(store);
    });
    f.get(from).memory('i32Load').tee(label).i32(classes).op('i32LtU');
    f.when(() => {
      f.get(to).get(label).i32(classes).op('i32Sub').i32(4).op('i32Mul', 'i32Add').f32(1).memory('f32Store');
    });
    f.advance(from, 4);
  });
  return f;
}
