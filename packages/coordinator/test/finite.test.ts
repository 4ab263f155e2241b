/** Weights that an update made overflow end a job: its losses and gradients were finite all the same. */
import { buildModel } from '@kasane/tensor/nn/model';
import { expect, it } from 'vitest';
import { requireFinite, rightOfNotFinite } from '../src/run/finite.ts';

it('weights that are not finite are named with their step and what helps', async () => {
  const model = buildModel({ input: [2], classes: 2, layers: [{ type: 'dense', units: 2 }] });
  const parameters = new Float32Array(model.parameterCount);
  await requireFinite(model, parameters, 7);
  for (const value of [Infinity, -Infinity, NaN])
    for (const at of [0, parameters.length - 1])
      await expect(requireFinite(model, parameters.with(at, value), 7)).rejects.toThrow(
        /^after step 7: .*: training has diverged; reduce training\.learningRate/,
      );
});

it('the learning rate is not blamed for what comes before the first update', () => {
  expect(rightOfNotFinite(0, 1)).not.toContain('learningRate');
  for (const [step, every] of [
    [1, 1],
    [0, 10],
  ] as const)
    expect(rightOfNotFinite(step, every)).toContain('learningRate');
});
