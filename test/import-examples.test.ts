/** Example models that are programs, exported to ONNX and imported again: the same predictions, and as many parameters. */
import { exportOnnx } from '@kasane/tensor/io/onnx/export';
import { importOnnx } from '@kasane/tensor/io/onnx/import';
import { buildModel } from '@kasane/tensor/nn/model';
import { sizeOf } from '@kasane/tensor/shape';
import { expect, it } from 'vitest';
import detector from '../examples/own-model/detector.ts';
import siamese from '../examples/own-model/siamese.ts';
import stacked from '../examples/own-model/stacked.ts';
import unet from '../examples/own-model/unet.ts';
import vae from '../examples/own-model/vae.ts';
import { difference, predicted, workedParameters } from '../packages/tensor/test/support/onnx.ts';

it.each(Object.entries({ detector, siamese, stacked, unet, vae }))('%s', async (_, job) => {
  const model = buildModel(job.model);
  const parameters = workedParameters(model);
  const back = importOnnx(await exportOnnx(model, parameters), {
    isNumbers: job.model.classes === undefined,
  });
  expect(back.model.parameterCount).toBe(model.parameterCount);
  const x = Float32Array.from({ length: 2 * sizeOf(model.sampleShape) }, (_, i) => Math.sin(1.7 * i));
  const ours = await predicted({ model, parameters }, x, 2);
  expect(difference(ours, await predicted(back, x, 2))).toBeLessThan(1e-5);
});
