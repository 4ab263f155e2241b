/** Several threads that compute one program: real threads, and the bits of one. */
import { afterAll, describe, expect, it } from 'vitest';
import { gradients } from '../src/autodiff.ts';
import { openWasmSession } from '../src/backends/wasm/session.ts';
import type { Node } from '../src/graph.ts';
import { describePreset, objectiveOfPreset } from '../src/models/presets.ts';
import { buildModel, initializeParameters, type ModelDescription } from '../src/nn/model.ts';
import { leadTeam, startTeam } from '../src/node/team.ts';
import type { Objective } from '../src/objective.ts';
import { conv2d } from '../src/ops/conv2d.ts';
import { gather } from '../src/ops/gather.ts';
import { checkLabels } from '../src/ops/labels.ts';
import { input } from '../src/ops/leaf.ts';
import { matmul } from '../src/ops/matmul.ts';
import { mul } from '../src/ops/pointwise.ts';
import { sum } from '../src/ops/reduce.ts';
import { sizeOf } from '../src/shape.ts';
import { uniforms } from './support/cases.ts';
import { models } from './support/models.ts';
import { runWasm } from './support/run-wasm.ts';
import { endTeams, helpersOf } from './support/team.ts';

const THREADS = [2, 3, 4, 7];
afterAll(endTeams);

const bytes = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);

/** An output, and its gradients by all inputs that have any. */
function withGradients(output: Node, leaves: readonly Node[]): Node[] {
  const wrt = leaves.filter(({ dtype }) => dtype === 'f32');
  const weights = input('weights', output.shape);
  return [output, ...gradients(sum(mul(output, weights)), wrt)];
}

async function sameBits(outputs: readonly Node[], feeds: Record<string, ArrayLike<number>>): Promise<void> {
  const wanted = await runWasm(outputs, feeds, 'exact', 1);
  for (const threads of THREADS) {
    const found = await runWasm(outputs, feeds, 'exact', threads);
    for (const [i, values] of found.entries())
      expect(bytes(values).equals(bytes(wanted[i]!)), `output ${i} of ${threads} threads`).toBe(true);
  }
}

const numbers = (shape: readonly number[], seed: number) =>
  Float32Array.from(uniforms(sizeOf(shape), seed), (u) => u - 0.5);

describe('the bits of one thread', { timeout: 120_000 }, () => {
  it.each([
    ['of patches', [2, 19, 17, 8], [3, 3, 8, 21], { padding: [1, 1] }],
    ['with a stride', [2, 19, 17, 8], [3, 3, 8, 21], { stride: [2, 2], padding: [1, 1] }],
    ['whose windows leave places out', [3, 14, 13, 5], [2, 1, 5, 6], { stride: [3, 2] }],
    ['of many places', [3, 40, 31, 3], [5, 5, 3, 17], { padding: [2, 2] }],
    ['of deep patches', [2, 6, 6, 300], [3, 3, 300, 8], { padding: [1, 1] }],
    ['in groups', [2, 11, 10, 12], [3, 3, 4, 9], { groups: 3, padding: [1, 1] }],
    ['of each channel for itself', [5, 11, 10, 37], [3, 3, 1, 37], { groups: 37, padding: [1, 1] }],
    ["by Winograd's tiles", [3, 23, 18, 16], [3, 3, 16, 36], { padding: [1, 1] }],
    ["by Winograd's small tiles", [3, 6, 5, 16], [3, 3, 16, 36], { padding: [1, 1] }],
    ["by Winograd's points", [3, 15, 14, 96], [3, 3, 96, 132], { padding: [1, 1] }],
  ] as const)('convolution %s', async (_, x, weight, options) => {
    const [image, window] = [input('x', x), input('w', weight)];
    const output = conv2d(image, window, options);
    const feeds = { x: numbers(x, 1), w: numbers(weight, 2), weights: numbers(output.shape, 3) };
    await sameBits(withGradients(output, [image, window]), feeds);
  });

  it.each([
    [
      [37, 60],
      [60, 53],
    ],
    [
      [7, 300],
      [300, 129],
    ],
    [
      [130, 5],
      [5, 3],
    ],
    [
      [5, 13, 40],
      [5, 40, 22],
    ],
    [
      [3, 9000],
      [9000, 18],
    ],
    [
      [500, 270],
      [270, 33],
    ],
  ])('product of %j and %j', async (left, right) => {
    const [a, b] = [input('a', left), input('b', right)];
    const output = matmul(a, b);
    const feeds = { a: numbers(left, 4), b: numbers(right, 5), weights: numbers(output.shape, 6) };
    await sameBits(withGradients(output, [a, b]), feeds);
  });

  it('rows by number, and the sums of their gradients', async () => {
    const [table, indices] = [input('table', [53, 37]), input('indices', [400], 'i32')];
    const output = gather(table, indices);
    const feeds = {
      table: numbers(table.shape, 7),
      indices: Int32Array.from(uniforms(400, 8), (u) => Math.floor(u * u * 53)),
      weights: numbers(output.shape, 9),
    };
    await sameBits(withGradients(output, [table, indices]), feeds);
  });

  const gpt = { tokens: 65, context: 64, width: 48, heads: 3, depth: 2 };
  interface Trained {
    readonly description: ModelDescription;
    readonly samples: number;
    readonly objective?: Objective;
  }
  const trained: Record<string, Trained> = {
    ...Object.fromEntries(
      Object.entries(models).map(([name, description]) => [name, { description, samples: 5 }]),
    ),
    mlp: { description: describePreset('mnist-mlp'), samples: 29 },
    cnn: { description: describePreset('mnist-cnn'), samples: 7 },
    gpt: {
      description: describePreset('gpt', gpt),
      samples: 9,
      objective: objectiveOfPreset('gpt', gpt),
    },
    resnet: {
      description: describePreset('resnet-18', { classes: 10, stem: 'cifar', image: 16 }),
      samples: 3,
    },
  };
  it.each(Object.keys(trained))('training %s', async (name) => {
    const { description, samples, objective } = trained[name]!;
    const model = buildModel(description);
    const asked = { mode: 'train', samples, ...(objective && { objective }) } as const;
    const tokens = description.layers.some(({ type }) => type === 'embedding');
    const x = uniforms(samples * sizeOf(model.sampleShape), 31).map((u) =>
      tokens ? Math.floor(9 * u) : 2 * u - 1,
    );
    const parameters = initializeParameters(model, 3);
    const digests: Buffer[] = [];
    for (const threads of [1, ...THREADS]) {
      const session = await openWasmSession(model, [asked], { helpers: helpersOf(threads) });
      const program = session.program(asked);
      session.parameters.set(parameters);
      program.x.set(x);
      const { offset, length } = session.layout.programs[0]!.labels;
      const kind = session.layout.programs[0]!.target === 'i32' ? Int32Array : Float32Array;
      new kind(session.memory as ArrayBuffer, offset, length).set(
        uniforms(length, 32).map((u) => Math.floor(3 * u)),
      );
      program.sampleIds.set(uniforms(samples, 33).map((u) => Math.floor(1e6 * u)));
      program.key.set([5, 0, 3, 0]);
      // Twice: what the first leaves behind must not matter.
      program.run();
      program.run();
      digests.push(Buffer.concat([bytes(session.gradients), bytes(program.lossSum), bytes(program.logits)]));
      session.destroy();
    }
    for (const [i, found] of digests.entries())
      expect(found.equals(digests[0]!), `${[1, ...THREADS][i]} threads`).toBe(true);
  });
});

describe('a team', () => {
  it('says what input it can not take, and takes what comes after it', async () => {
    const [x, w] = [input('x', [64, 40]), input('w', [40, 30])];
    const labels = input('labels', [64], 'i32');
    const outputs = [matmul(x, w), checkLabels(labels, 10)];
    const feeds = { x: numbers(x.shape, 1), w: numbers(w.shape, 2), labels: new Int32Array(64).fill(3) };
    const wanted = await runWasm(outputs, feeds, 'exact', 1);
    const bad = feeds.labels.slice();
    bad[5] = 11;
    for (const threads of [2, 3]) {
      await expect(runWasm(outputs, { ...feeds, labels: bad }, 'exact', threads)).rejects.toThrow(
        'label 11 is out of range',
      );
      const [found] = await runWasm(outputs, feeds, 'exact', threads);
      expect(bytes(found!).equals(bytes(wanted[0]!))).toBe(true);
    }
  });

  it('hears once of a thread that ends', async () => {
    const deaths: string[] = [];
    const { threads, lead, end } = startTeam(3, ({ message }) => deaths.push(message));
    expect(leadTeam(lead).threads).toBe(3);
    const code = await threads[1]!.terminate();
    await end();
    expect(deaths).toEqual([`a helper of the compute thread ended with code ${code}`]);
  });
});
