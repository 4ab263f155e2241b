/**
 * What the parameter server costs as workers are added: synthetic workers answer at once with gradients and compute nothing, so that a
 * step is the coordinator's work and the way there and back.
 *
 *     pnpm bench server [--workers 1,2,4,8,16] [--parameters 1,25,138] [--steps 20]
 *
 * Parameters in millions, a shard for each worker, Adam, tensors through shared memory. Beside it the time in which one core copies as
 * many bytes as the gradients of all workers have. `server` is what the coordinator's steps take by themselves: summing, updating,
 * publishing.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildModel, type ModelDescription } from '@kasane/tensor/nn/model';
import { LoadChild } from '../test/load/child.ts';
import { measureSteps } from './support/cluster.ts';
import { writeNoise } from './support/cluster-jobs.ts';
import { median } from './support/median.ts';

const { values } = parseArgs({
  options: {
    workers: { type: 'string', default: '1,2,4,8,16' },
    parameters: { type: 'string', default: '1,25,138' },
    steps: { type: 'string', default: '20' },
  },
});
const steps = Number(values.steps);
/** Hidden layers behind 784 inputs and before 10 outputs, by millions of parameters. */
const LAYERS: Readonly<Record<string, readonly number[]>> = {
  '1': [1256],
  '25': [4096, 5300],
  '138': [4096, 16_384, 4096],
};

function copyMs(bytes: number): number {
  const [from, to] = [new Uint8Array(bytes).fill(1), new Uint8Array(bytes).fill(2)];
  const times: number[] = [];
  for (let round = 0; round < 5; round++) {
    const began = performance.now();
    to.set(from);
    times.push(performance.now() - began);
  }
  return median(times);
}

const directory = mkdtempSync(join(tmpdir(), 'kasane-bench-'));
try {
  const path = writeNoise(directory, [28, 28], 10, 1024);
  console.log(
    '| parameters | workers | step, ms | sum | update | publish | server | copying as much | server / copy |',
  );
  console.log(
    '| ---------- | ------- | -------- | --- | ------ | ------- | ------ | --------------- | ------------- |',
  );
  for (const millions of values.parameters.split(',')) {
    const hidden = LAYERS[millions];
    if (!hidden) throw new Error(`--parameters: ${Object.keys(LAYERS).join(', ')}`);
    const model: ModelDescription = {
      input: [28, 28],
      classes: 10,
      layers: [{ type: 'flatten' }, ...[...hidden, 10].map((units) => ({ type: 'dense', units }) as const)],
    };
    const floats = buildModel(model).parameterCount;
    const copy = copyMs(4 * floats);
    for (const workers of values.workers.split(',').map(Number)) {
      const job = {
        name: 'server',
        model,
        data: { path },
        training: {
          epochs: 10_000,
          batch: 4 * workers,
          shards: workers,
          optimizer: { type: 'adam' },
          seed: 1,
        },
        checkpoint: { everySteps: 1_000_000 },
      };
      const { times } = await measureSteps({
        job,
        steps,
        warmUp: 5,
        workers: async (coordinator) => {
          const child = new LoadChild('./workers.ts', { coordinator, workers, sharedMemory: true });
          await child.ready();
          return () => child.end();
        },
      });
      const of = (pick: (time: (typeof times)[number]) => number) => median(times.map(pick));
      const [step, sum, update, publish] = [
        of((t) => t.stepMs),
        of((t) => t.reduceMs),
        of((t) => t.applyMs),
        of((t) => t.publishMs),
      ];
      const server = sum + update + publish;
      const cells = [
        `${(floats / 1e6).toFixed(1)} M`,
        String(workers),
        step.toFixed(1),
        ...[sum, update, publish].map((ms) => ms.toFixed(1)),
        `${server.toFixed(1)} ms, ${((100 * server) / step).toFixed(0)} %`,
        `${(copy * workers).toFixed(1)} ms`,
        (server / (copy * workers)).toFixed(2),
      ];
      console.log(`| ${cells.join(' | ')} |`);
    }
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
