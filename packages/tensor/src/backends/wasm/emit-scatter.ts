/**
 * The sum of rows into those that their indices name. Rows with the same index are found first, by counting, so that the sum of each
 * has the shape that `ops/summation.ts` defines, however often an index occurs; and each row of the result is written once.
 */

import { FunctionBuilder, type Local } from '../../assembler.ts';
import type { Node } from '../../graph.ts';
import { rowsOf } from '../../ops/gather.ts';
import { SUM_BLOCK } from '../../ops/summation.ts';
import { sizeOf } from '../../shape.ts';
import { type OwnAddress, ownAddress, setAddress, THREAD } from './address.ts';
import { cutOf, eachOfPart, ofPart, onThread, type Team } from './cut.ts';
import { eachIndex } from './emit-index.ts';
import { emitFill } from './emit-loops.ts';
import { MOST_VECTORS, Waiting } from './emit-waiting.ts';

/** Bytes for where the rows of each index end, and for the addresses of all of them. */
export const scatterAddWorkspaceBytes = (node: Node): number =>
  4 * (rowsOf(node) + 1 + sizeOf(node.inputs[1]!.shape));

export function scatterAddKernel(
  node: Node,
  [values, indices, y]: readonly [number, number, number],
  scratch: OwnAddress,
  workspace: number,
  team: Team | undefined,
): FunctionBuilder {
  const f = new FunctionBuilder();
  const [rows, row] = [rowsOf(node), sizeOf(node.shape.slice(1))];
  if (rows * row === 0) return f;
  const order = workspace + 4 * (rows + 1);
  const sort = () => sortByIndex(f, node, { values, indices, ends: workspace, order }, row);
  if (team) {
    onThread(f, 0, sort);
    f.call(team.barrier);
  } else sort();

  const [end, list, last, until, to] = [0, 1, 2, 3, 4].map(() => f.local('i32')) as [
    Local,
    Local,
    Local,
    Local,
    Local,
  ];
  const place = f.local('i32');
  /** Sums `vectors` vectors, or one number, of all rows of the list, so many elements behind their beginning. */
  const part = (first: number, vectors: number, isWhole: boolean) => {
    const sums = Array.from({ length: vectors }, () => f.local('v128'));
    const load = isWhole ? 'v128Load' : 'v128Load32Zero';
    const waiting = new Waiting(f, ownAddress(f, scratch), 0, sums);
    const at = f.local('i32');
    f.get(list).set(at);
    for (const sum of sums) f.f32x4(0).set(sum);
    f.until(at, last, () => {
      for (const sum of sums) f.f32x4(0).set(sum);
      // To the end of the block, or of the list.
      f.get(at)
        .i32(4 * SUM_BLOCK)
        .op('i32Add')
        .tee(until)
        .get(last)
        .get(until)
        .get(last)
        .op('i32LtU', 'select')
        .set(until);
      f.until(at, until, () => {
        f.get(at).memory('i32Load').set(place);
        for (const [i, sum] of sums.entries()) {
          f.get(sum)
            .get(place)
            .memory(load, 4 * first + 16 * i)
            .op('f32x4Add')
            .set(sum);
        }
        f.advance(at, 4);
      });
      waiting.push(1);
    });
    f.get(list).get(last).op('i32Eq');
    f.either(
      () => {},
      () => waiting.finish(),
    );
    for (const [i, sum] of sums.entries()) {
      f.get(to).get(sum);
      if (isWhole) f.memory('v128Store', 4 * first + 16 * i);
      else f.store32Lane0(4 * first);
    }
  };
  const oneRow = () => {
    f.get(end).memory('i32Load').set(last);
    const vectors = Math.floor(row / 4);
    for (let first = 0; first < vectors; first += MOST_VECTORS)
      part(4 * first, Math.min(MOST_VECTORS, vectors - first), true);
    for (let element = 4 * vectors; element < row; element++) part(element, 1, false);
    f.get(last)
      .set(list)
      .advance(end, 4)
      .advance(to, 4 * row);
  };
  f.i32(workspace).set(end).i32(order).set(list).i32(y).set(to);
  if (!team) return f.repeat(rows, oneRow);
  const cut = cutOf(rows, team.threads);
  setAddress(f, end, ofPart(f, cut, workspace, 4));
  setAddress(f, to, ofPart(f, cut, y, 4 * row));
  // The first row's list begins where that of the row before ends.
  f.global(THREAD)
    .i32(1)
    .op('i32GeU')
    .global(THREAD)
    .i32(Math.ceil(rows / cut.each))
    .op('i32LtU', 'i32And');
  f.when(() => f.get(end).i32(4).op('i32Sub').memory('i32Load').set(list));
  eachOfPart(f, cut, oneRow);
  return f;
}

/** Writes the addresses of the rows, those of one index together and in their order, and where those of each index end. */
function sortByIndex(
  f: FunctionBuilder,
  node: Node,
  {
    values,
    indices,
    ends,
    order,
  }: { readonly values: number; readonly indices: number; readonly ends: number; readonly order: number },
  row: number,
): void {
  const rows = rowsOf(node);
  emitFill(f, ends, rows + 1, 0);
  // How many each index has, one place behind its own.
  eachIndex(f, node, indices, 1, ends + 4, (count) => {
    f.get(count).get(count).memory('i32Load').i32(1).op('i32Add').memory('i32Store');
  });
  // Where the first of each goes.
  const [at, total, from] = [f.local('i32'), f.local('i32'), f.local('i32')];
  f.i32(ends).set(at).i32(order).set(total);
  f.repeat(rows + 1, () => {
    f.get(total).get(at).memory('i32Load').i32(2).op('i32Shl', 'i32Add').set(total);
    f.get(at).get(total).memory('i32Store').advance(at, 4);
  });
  // Each row's address there; the place moves on, to the end at last.
  f.i32(values).set(from);
  eachIndex(f, node, indices, 1, ends, (next) => {
    f.get(next).memory('i32Load').get(from).memory('i32Store');
    f.get(next).get(next).memory('i32Load').i32(4).op('i32Add').memory('i32Store');
    f.advance(from, 4 * row);
  });
}
