/** Training in less memory: the same bits, fewer bytes. */
import { describe, expect, it } from 'vitest';
import { openWasmSession, type WasmSessionOptions } from '../src/backends/wasm/session.ts';
import {
  buildModel,
  initializeParameters,
  type LayerDescription,
  type ModelDescription,
} from '../src/nn/model.ts';
import type { MemoryUse } from '../src/training.ts';
import { uniforms } from './support/cases.ts';
import { feedsOf, models } from './support/models.ts';

interface Feeds {
  readonly x: Float32Array;
  readonly labels: Int32Array;
  readonly sampleIds: Uint32Array;
  readonly key: Uint32Array;
}

async function trained(
  description: ModelDescription,
  feeds: Feeds,
  memory: MemoryUse,
  options?: WasmSessionOptions,
) {
  const model = buildModel(description);
  const training = { mode: 'train', samples: feeds.labels.length, memory } as const;
  const session = await openWasmSession(model, [training], options);
  const program = session.program(training);
  session.parameters.set(initializeParameters(model, 9));
  for (const name of ['x', 'labels', 'sampleIds', 'key'] as const) program[name].set(feeds[name] as never);
  program.run();
  return {
    bits: [session.gradients, program.lossSum, program.logits].map((floats) =>
      Buffer.from(floats.slice().buffer).toString('base64'),
    ),
    /** Bytes of all that is neither parameters nor gradients. */
    arena: session.memory.byteLength - 8 * model.parameterCount,
    kernels: program.stages.flatMap(({ kernels }) => kernels.map(({ op }) => ({ op }))),
  };
}

describe('low memory', () => {
  it.each(Object.entries(models))(
    '%s: loss and gradients have the bits of plain training',
    async (_, description) => {
      const plain = await trained(description, feedsOf(description), 'normal');
      const low = await trained(description, feedsOf(description), 'low');
      expect(low.bits).toEqual(plain.bits);
    },
  );

  const samples = 4;
  const feeds = (x: Float32Array): Feeds => ({
    x,
    labels: Int32Array.from({ length: samples }, (_, i) => i % 10),
    sampleIds: Uint32Array.from({ length: samples }, (_, i) => 7 * i),
    key: Uint32Array.of(5, 0, 3, 0),
  });

  it('of a deep network with branches takes far less memory, and computes convolutions twice', {
    timeout: 60_000,
  }, async () => {
    const conv = (name: string, from: string): LayerDescription[] => [
      { type: 'conv2d', filters: 8, size: 3, padding: 1, from },
      { type: 'batchNorm' },
      { type: 'relu', name },
    ];
    const blocks = Array.from({ length: 9 }, (_, i): LayerDescription[] => [
      ...conv(`in-${i}`, i === 0 ? 'stem' : `sum-${i - 1}`),
      ...conv(`out-${i}`, `in-${i}`),
      { type: 'add', from: [i === 0 ? 'stem' : `sum-${i - 1}`, `out-${i}`], name: `sum-${i}` },
    ]);
    const description: ModelDescription = {
      input: [24, 24, 3],
      classes: 10,
      layers: [
        ...conv('stem', 'input'),
        ...blocks.flat(),
        { type: 'globalAveragePool' },
        { type: 'dense', units: 10 },
      ],
    };
    const images = feeds(Float32Array.from(uniforms(samples * 24 * 24 * 3, 4), (u) => 2 * u - 1));
    const plain = await trained(description, images, 'normal');
    const low = await trained(description, images, 'low');
    expect(low.bits).toEqual(plain.bits);
    expect(low.arena).toBeLessThan(0.5 * plain.arena);
    const convolutions = ({ kernels }: typeof low) => kernels.filter(({ op }) => op === 'conv2d').length;
    expect(convolutions(low)).toBeGreaterThan(1.5 * convolutions(plain));
    expect(convolutions(low)).toBeLessThan(2 * convolutions(plain));
  });

  it('of a model that has nothing to spare is plain training', async () => {
    const description: ModelDescription = { input: [4], classes: 10, layers: [{ type: 'dense', units: 10 }] };
    const few = feeds(Float32Array.from(uniforms(samples * 4, 4)));
    const plain = await trained(description, few, 'normal');
    const low = await trained(description, few, 'low');
    expect(low).toEqual(plain);
  });
});
