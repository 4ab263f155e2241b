/** Class weights and label smoothing against PyTorch's mean, with the batch cut into shards whose sums are divided once, at the end. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { gradients } from '../src/autodiff.ts';
import { evaluateGraph } from '../src/backends/reference/run.ts';
import { buildModel } from '../src/nn/model.ts';
import { scoresOf, targetLeaf } from '../src/objective.ts';
import { input } from '../src/ops/leaf.ts';
import { traceProgram } from '../src/training.ts';
import { runWasm } from './support/run-wasm.ts';

interface Fixture {
  readonly classes: number;
  readonly smoothing: number;
  readonly x: readonly number[];
  readonly labels: readonly number[];
  readonly weights: readonly number[];
  readonly loss: number;
  readonly gradient: readonly number[];
}
const fixtures = JSON.parse(
  readFileSync(new URL('pytorch/weighted.json', import.meta.url), 'utf8'),
) as readonly Fixture[];

const backends = {
  reference: {
    run: async (...args: Parameters<typeof evaluateGraph>) => evaluateGraph(...args),
    bound: 1e-12,
  },
  wasm: { run: runWasm, bound: 1e-5 },
} as const;

describe.each(Object.entries(backends))('%s', (_, { run, bound }) => {
  it.each(fixtures.flatMap((fixture) => [1, 2, 3].map((shards) => [fixture, shards] as const)))(
    '%j in %d shards',
    async (fixture, shards) => {
      const { classes, labels, x, smoothing, weights } = fixture;
      const objective = { type: 'classification', labelSmoothing: smoothing, classWeights: weights } as const;
      let [loss, weight, counted] = [0, 0, 0];
      const slopes: number[] = [];
      for (let shard = 0; shard < shards; shard++) {
        const [from, to] = [shard, shard + 1].map((i) => Math.floor((labels.length * i) / shards)) as [
          number,
          number,
        ];
        const logits = input('x', [to - from, classes]);
        const target = targetLeaf({ outputShape: [classes] }, objective, to - from);
        const scores = scoresOf(objective, logits, target, true);
        const outputs = [
          scores.lossSum,
          scores.weight!,
          scores.counted!,
          ...gradients(scores.lossSum, [logits]),
        ];
        const feeds = { x: x.slice(from * classes, to * classes), labels: labels.slice(from, to) };
        const found = await run(outputs, feeds);
        loss += found[0]![0]!;
        weight += found[1]![0]!;
        counted += found[2]![0]!;
        slopes.push(...found[3]!);
      }
      expect(counted).toBe(labels.length);
      expect(Math.abs(loss / weight - fixture.loss)).toBeLessThan(bound);
      for (const [i, slope] of slopes.entries())
        expect(Math.abs(slope / weight - fixture.gradient[i]!), `gradient ${i}`).toBeLessThan(bound);
    },
  );
});

it('statistics of batches are weighted with what everything is divided by', () => {
  const model = buildModel({
    input: [4],
    classes: 2,
    layers: [{ type: 'dense', units: 2 }, { type: 'batchNorm' }],
  });
  const objective = { type: 'classification', classWeights: [3, 0.5] } as const;
  const { outputs } = traceProgram(model, { mode: 'train', samples: 2, objective });
  expect(outputs.weight).toBeDefined();
  const statistic = model.parameters.findIndex((parameter) => parameter.statistic);
  expect(outputs.gradients![statistic]!.inputs).toContain(outputs.weight);
  expect(traceProgram(model, { mode: 'evaluate', samples: 2, objective }).outputs.weight).toBeUndefined();
});
