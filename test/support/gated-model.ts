/** A model with a layer and a loss of its own: that of test/own-model.test.ts, and in PyTorch of test/fixtures/own-model/train.py. */
import { defineLayer, defineModel } from '@kasane/client/model';
import type { Node } from '@kasane/tensor/graph';
import { xavierUniform } from '@kasane/tensor/nn/initializers';
import { constant } from '@kasane/tensor/ops/leaf';
import { matmul } from '@kasane/tensor/ops/matmul';
import { abs, add, le, mul, select, sigmoid, sub } from '@kasane/tensor/ops/pointwise';
import { mean } from '@kasane/tensor/ops/reduce';

/** Each feature has a gate, computed from all features (Dauphin et al. 2017). */
const gated = defineLayer({
  type: 'gated',
  build(m, [x], { units, drop = 0 }: { units: number; drop?: number }) {
    const features = x!.shape.at(-1)!;
    const side = (name: string): Node =>
      add(
        matmul(x!, m.parameter(`${name}Weight`, [features, units], xavierUniform(features, units))),
        m.parameter(`${name}Bias`, [units], { kind: 'zeros' }),
      );
    return m.dropout(mul(side('value'), sigmoid(side('gate'))), drop);
  },
});

/** @param drop of the second of its layers */
export const gatedModel = (units: number, drop: number) =>
  defineModel({
    input: [2],
    build(m, x) {
      const hidden = m.layer(gated, { units, drop }, m.layer(gated, { units }, x));
      return m.layer('dense', { units: 2, name: 'out' }, hidden);
    },
    loss: {
      target: { dtype: 'f32', shape: [2] },
      // Squared up to 0.25, a straight line beyond.
      of({ output, target }) {
        const away = abs(sub(output!, target!));
        const line = mul(constant(0.5), sub(away, constant(0.125)));
        return mean(select(le(away, constant(0.25)), mul(away, away), line), [1]);
      },
      metric: { kind: 'error', of: ({ output, target }) => mean(abs(sub(output!, target!)), [1]) },
    },
  });

export interface Point {
  readonly input: readonly [number, number];
  readonly target: readonly [number, number];
}

/** y = sin(3 a) b and a b, of points on a lattice. */
export function* points(count: number, from: number): Generator<Point> {
  for (let i = 0; i < count; i++) {
    const [a, b] = [(((i + from) * 37) % 101) / 50 - 1, (((i + from) * 53) % 97) / 48 - 1];
    yield { input: [a, b], target: [Math.sin(3 * a) * b, a * b] };
  }
}
