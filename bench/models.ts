/**
 * Training steps of six models on one thread: forwards, backwards and Adam, against PyTorch where it is found, and the MLP against
 * TensorFlow.js and jax-js, which lack what the others need. Rounds of all take turns in one run. A figure is the CPU time of a
 * step (the median over the rounds), and in brackets the wall time of the shortest. On an idle machine the two agree. Where
 * others work too, wall times are the scheduler's: a step longer than its slice of some milliseconds always contains others' work.
 * The ratio is that of the CPU times of exact arithmetic, the default; `fast` may fuse products and sums (math: fast).
 *
 *     pnpm bench models [--row mlp] [--seconds 6] [--rounds 5] [--python PATH] [--no-peer]
 *
 * A step of ours is what a worker and the parameter server do in one process, without what lies between them: gradients, one
 * copy of them into a slot, their scaling, Adam, and one copy of the parameters back. The update's part is printed apart.
 *
 * Prints a Markdown table, and writes everything to bench/results/models.json.
 */
import { parseArgs } from 'node:util';
import type { MathMode } from '@kasane/tensor/backends/backend';
import { compileProgram } from '@kasane/tensor/backends/wasm/program';
import { openUpdater } from '@kasane/tensor/backends/wasm/updater';
import { selectKernel } from '@kasane/tensor/internal/backends/wasm/kernels';
import { enableRevectorization } from '@kasane/tensor/internal/node/v8-flags';
import { initializeParameters } from '@kasane/tensor/nn/model';
import { fillBatch, type Row, rows, trainingGraph } from './rows.ts';
import { openPeers } from './support/peers.ts';
import { defaultPython } from './support/python.ts';
import { byPeer, machineWith, openTable, peerCells, peerHeadings, writeResults } from './support/results.ts';
import { type Figure, ours, takeTurns } from './support/turns.ts';

const { values } = parseArgs({
  options: {
    row: { type: 'string' },
    seconds: { type: 'string', default: '6' },
    rounds: { type: 'string', default: '5' },
    python: { type: 'string', default: defaultPython },
    'no-peer': { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const turns = { rounds, milliseconds: (1000 * Number(values.seconds)) / 2 / rounds };

interface Stepper {
  /** One training step: milliseconds of the gradients and of all. */
  step(): { gradients: number; total: number };
  loss(): number;
}

async function openRow(row: Row, math: MathMode): Promise<Stepper> {
  const { model, outputs } = trainingGraph(row);
  const program = await compileProgram(outputs, { math });
  const updater = await openUpdater(model.parameters, { type: 'adam' });
  updater.parameters.set(initializeParameters(model, 1));
  const { x, labels } = program.inputs;
  fillBatch(row, x as Float32Array, labels as Int32Array);
  // Running statistics are parameters that a training step does not read.
  const weights = model.parameters.flatMap(({ name, offset, size }) => {
    const to = program.inputs[name] as Float32Array | undefined;
    return to ? [{ to, from: updater.parameters.subarray(offset, offset + size) }] : [];
  });
  const sent = new Float32Array(model.parameterCount);
  const slots = model.parameters.map(({ offset, size }, index) => ({
    to: sent.subarray(offset, offset + size),
    from: program.outputs[index + 1]!,
  }));
  for (const { to, from } of weights) to.set(from);
  let count = 0;
  return {
    step: () => {
      const start = performance.now();
      program.run();
      const gradients = performance.now() - start;
      for (const { to, from } of slots) to.set(from);
      updater.sum([sent], 0);
      updater.apply(count++, 0.001, { factor: 1 / labels!.length });
      for (const { to, from } of weights) to.set(from);
      return { gradients, total: performance.now() - start };
    },
    loss: () => program.outputs[0]![0]! / labels!.length,
  };
}

enableRevectorization();
const choice = selectKernel();
const machine = machineWith(choice.name);
console.log(machine);
const scripts = {
  PyTorch: { script: 'models.py' },
  'TensorFlow.js': { script: 'tfjs.ts' },
  'jax-js': { script: 'jax-js.ts' },
};
const peers = await openPeers(values['no-peer'] ? {} : scripts, values.python);

const cell = ({ cpu, best }: Figure) => `${cpu.toFixed(2)} (${best.toFixed(2)})`;
const table = openTable([
  'model',
  'batch',
  'kasane, ms',
  'of these gradients',
  'first',
  'fast, ms',
  ...peerHeadings(peers, 'ms'),
]);
const results = [];
for (const { name, batch, ...rest } of rows.filter(({ name }) => !values.row || name === values.row)) {
  const own = await openRow({ name, batch, ...rest }, 'exact');
  const fast = await openRow({ name, batch, ...rest }, 'fast');
  // In its first step the engine optimizes the code.
  const first = own.step().total;
  let gradients = Number.POSITIVE_INFINITY;
  const step = ours(() => {
    gradients = Math.min(gradients, own.step().gradients);
  });
  const contenders = [step, ours(fast.step), ...peers.map((peer) => peer.on(name))];
  const [total, fused, ...theirs] = (await takeTurns(contenders, turns)) as [
    Figure,
    Figure,
    ...(Figure | undefined)[],
  ];
  table([
    name,
    batch,
    cell(total),
    gradients.toFixed(2),
    first.toFixed(0),
    cell(fused),
    ...peerCells(total, theirs, cell),
  ]);
  results.push({
    ...{ row: name, batch, total, fast: fused, gradients, first },
    ...{ loss: own.loss(), peers: byPeer(peers, theirs) },
  });
}
for (const { close } of peers) close();
writeResults('models', machine, peers, results);
