/**
 * What `memory: low` saves and costs: memory of a worker's session and CPU time of its gradients, with it and without in turns.
 *
 *     pnpm bench memory [--row resnet18] [--rounds 5]
 *
 * Rows are those of bench/rows.ts, and deeper ones that are there for this. Parameters and their gradients are counted apart:
 * nothing can be saved of them.
 */
import { parseArgs } from 'node:util';
import { openWasmSession } from '@kasane/tensor/backends/wasm/session';
import { enableRevectorization } from '@kasane/tensor/internal/node/v8-flags';
import { describePreset } from '@kasane/tensor/models/presets';
import { buildModel, initializeParameters } from '@kasane/tensor/nn/model';
import type { Objective } from '@kasane/tensor/objective';
import type { MemoryUse } from '@kasane/tensor/training';
import { fillBatch, type Row, rows } from './rows.ts';
import { median } from './support/median.ts';
import { openTable } from './support/results.ts';

const deeper: readonly Row[] = [
  { name: 'resnet50', batch: 4, description: describePreset('resnet-50', { classes: 10, image: 224 }) },
  {
    name: 'gpt12',
    batch: 4,
    tokens: 65,
    description: describePreset('gpt', { tokens: 65, context: 256, width: 256, depth: 12, heads: 8 }),
  },
];
const { values } = parseArgs({
  options: { row: { type: 'string' }, rounds: { type: 'string', default: '5' } },
});
enableRevectorization();

async function open(row: Row, memory: MemoryUse) {
  const { batch, description } = row;
  const model = buildModel(description);
  const objective: Objective = { type: description.classes === undefined ? 'next-token' : 'classification' };
  const request = { mode: 'train', samples: batch, objective, memory } as const;
  const session = await openWasmSession(model, [request]);
  const program = session.program(request);
  session.parameters.set(initializeParameters(model, 1));
  const { x, labels, targets } = program;
  fillBatch(row, x, description.classes === undefined ? targets : labels);
  program.run();
  return {
    megabytes: (session.memory.byteLength - 8 * model.parameterCount) / 2 ** 20,
    times: [] as number[],
    program,
    session,
  };
}

const table = openTable([
  'model',
  'batch',
  'normal, MiB',
  'low, MiB',
  'ratio',
  'normal, ms',
  'low, ms',
  'ratio',
]);
for (const row of [...rows, ...deeper]) {
  if (values.row && row.name !== values.row) continue;
  const both = [await open(row, 'normal'), await open(row, 'low')] as const;
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const one of both) {
      const before = process.cpuUsage();
      one.program.run();
      const { user, system } = process.cpuUsage(before);
      one.times.push((user + system) / 1000);
    }
  }
  const [normal, low] = both;
  const same = normal.session.gradients.every((value, i) => Object.is(value, low.session.gradients[i]));
  if (!same) throw new Error(`${row.name}: other bits`);
  const [before, after] = [median(normal.times), median(low.times)];
  table([
    row.name,
    row.batch,
    normal.megabytes.toFixed(0),
    low.megabytes.toFixed(0),
    (low.megabytes / normal.megabytes).toFixed(2),
    before.toFixed(1),
    after.toFixed(1),
    (after / before).toFixed(2),
  ]);
}
