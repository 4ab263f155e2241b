/** A program for a process of its own (--expose-gc): prints by how many bytes the heap grew in ten thousand steps. */
import { openWasmSession } from '../../src/backends/wasm/session.ts';
import { buildModel, initializeParameters } from '../../src/nn/model.ts';

const model = buildModel({
  input: [6],
  classes: 3,
  layers: [
    { type: 'dense', units: 5 },
    { type: 'relu' },
    { type: 'dropout', rate: 0.5 },
    { type: 'dense', units: 3 },
  ],
});
const session = await openWasmSession(model, [{ mode: 'train', samples: 2 }], { memory: 'shared' });
const program = session.program({ mode: 'train', samples: 2 });
session.parameters.set(initializeParameters(model, 1));

function run(steps: number): number {
  const before = process.memoryUsage().heapUsed;
  for (let step = 0; step < steps; step++) program.run();
  return process.memoryUsage().heapUsed - before;
}

const steps = 10_000;
// Warm: V8's own compilation of this loop is over.
for (let round = 0; round < 3; round++) run(steps);
globalThis.gc?.();
process.stdout.write(JSON.stringify({ steps, bytes: run(steps) }));
