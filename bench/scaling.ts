/**
 * What a second worker is worth: the same job, the same global batch in two shards, on one worker with one slot and on two.
 *
 *     pnpm bench scaling [--row resnet18] [--row cnn] [--rounds 3]
 *
 * The machine should have two cores with nothing else to do; with fewer, the second worker is worth nothing. Both alternate, round by
 * round. The ratio is of the medians of the steps; 2 would be twice as fast, which cannot be, since coordinator and Redis use the
 * same two cores. `not computing` is what is left of a step beside the slower worker's computation.
 *
 * Expected before it was measured: ResNet-18 has 11 million parameters, which cost some 40 ms a step to sum, update and publish beside
 * 600 ms of computation on each of two workers: 1.9. The CNN 0.4 million and 8 ms of 9: 1.8.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { StepTimes } from '@kasane/coordinator/jobs/run-options';
import { rows } from './rows.ts';
import { measureSteps, singleSlots, writeNoise } from './support/cluster.ts';
import { median } from './support/median.ts';

const { values } = parseArgs({
  options: {
    row: { type: 'string', multiple: true, default: ['cnn', 'resnet18'] },
    rounds: { type: 'string', default: '3' },
  },
});
/** Measured steps of a round, and those before them. */
const STEPS: Readonly<Record<string, readonly [number, number]>> = { resnet18: [16, 4] };
const USUAL = [200, 50] as const;

const directory = mkdtempSync(join(tmpdir(), 'kasane-bench-'));
try {
  for (const name of values.row) {
    const row = rows.find((one) => one.name === name);
    if (!row || row.tokens !== undefined) throw new Error(`no network of images '${name}' in bench/rows.ts`);
    const { batch, description } = row;
    const path = writeNoise(join(directory, name), description.input as number[], 10, 16 * batch);
    const job = {
      name: `scaling-${name}`,
      model: description,
      data: { path },
      training: { epochs: 1000, batch, shards: 2, optimizer: { type: 'adam' }, learningRate: 1e-4, seed: 1 },
    };
    const [steps, warmUp] = STEPS[name] ?? USUAL;
    const all = [1, 2].map((): StepTimes[] => []);
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const [index, list] of all.entries())
        list.push(...(await measureSteps({ job, steps, warmUp, workers: singleSlots(index + 1) })));
    }
    console.log(`\n${name}, batch ${batch}, median of ${all[0]!.length} steps`);
    const took = all.map((list) => median(list.map(({ stepMs }) => stepMs)));
    for (const [index, list] of all.entries()) {
      const compute = median(list.map(({ computeMs }) => computeMs));
      // One worker computes the two shards one after the other.
      const rest = 1 - ((index === 0 ? 2 : 1) * compute) / took[index]!;
      console.log(
        `  ${index + 1} worker${index === 0 ? ' ' : 's'} ${took[index]!.toFixed(1).padStart(8)} ms a step; not computing ${(100 * rest).toFixed(1)} %`,
      );
    }
    console.log(`  two are worth ${(took[0]! / took[1]!).toFixed(2)} times one`);
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
