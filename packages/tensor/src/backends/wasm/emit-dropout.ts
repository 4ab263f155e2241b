/** The dropout mask: Philox in SIMD. */

import { FunctionBuilder, type Local } from '../../assembler.ts';
import type { Node } from '../../graph.ts';
import { dropoutMaskOp, dropoutScale, dropoutThreshold } from '../../ops/dropout-mask.ts';
import { attributesOf } from '../../ops/op.ts';
import { sizeOf } from '../../shape.ts';
import { type Address, setAddress } from './address.ts';
import { philox } from './emit-philox.ts';

/**
 * Four counters at a time (one a lane), so 16 elements. A row's last group may reach beyond the row: the
 * next row overwrites it, and after the last one the arena leaves room.
 */
export function dropoutMask(
  node: Node,
  ids: Address,
  key: number,
  y: Address,
  f = new FunctionBuilder(),
): FunctionBuilder {
  const { layer, rate, shape } = attributesOf(dropoutMaskOp, node);
  const size = sizeOf(shape);
  if (sizeOf(node.shape) === 0) return f;
  const [id, to, row] = [f.local('i32'), f.local('i32'), f.local('i32')];
  const c = [0, 1, 2, 3].map(() => f.local('v128')) as [Local, Local, Local, Local];
  const keys = [f.local('v128'), f.local('v128')] as const;
  const [group, first, second] = [f.local('v128'), f.local('v128'), f.local('v128')];
  const rounds = philox(f, c, keys);

  setAddress(f, id, ids);
  setAddress(f, row, y);
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
      rounds();
      for (const words of c) {
        f.f32x4(dropoutScale(rate)).get(words).i32(8).op('i32x4ShrU').i32x4(dropoutThreshold(rate));
        f.op('i32x4GeU', 'v128And').set(words);
      }
      // Lane l of word w is element 4 l + w: transpose the four vectors.
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
