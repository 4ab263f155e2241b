/**
 * What a second thread in a program is worth: loss and gradients of a batch by one thread, by two that share the program, and by two
 * independent programs of half the batch each, as two shards would be, against PyTorch's training step with two threads where it is
 * found. Rounds of all take turns in one run. Figures are the wall time of the shortest calls, so they mean nothing on a machine that has
 * other work; the CPU time of a call, the median over the rounds, is in brackets.
 *
 *     pnpm bench threads [--row mlp] [--threads 2] [--seconds 6] [--rounds 5] [--python PATH] [--no-peer]
 *
 * The last table is a model and says so, from three parts that are measured: what kernels take that one thread computes alone, what those take
 * that are cut, each timed by itself on one thread, and what the program takes longer on the threads of this run than these parts say
 * (waiting, uneven parts, memory that all share). The second part is divided by any number of threads; the last one is taken to stay as
 * it is, which is too little where memory is what limits.
 *
 * PyTorch's OpenBLAS must be the one with OpenMP (libopenblas0-openmp): threads of the other one spin against PyTorch's own.
 *
 * Prints Markdown tables, and writes everything to bench/results/threads.json.
 */
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { selectKernel } from '@kasane/tensor/internal/backends/wasm/kernels';
import { leadTeam, startTeam } from '@kasane/tensor/internal/node/team';
import { enableRevectorization } from '@kasane/tensor/internal/node/v8-flags';
import { type Row, rows } from './rows.ts';
import { cutShare } from './support/cut-share.ts';
import { openGradients } from './support/gradients.ts';
import { openPeers } from './support/peers.ts';
import { defaultPython } from './support/python.ts';
import { byPeer, machineWith, openTable, peerCells, peerHeadings, writeResults } from './support/results.ts';
import { type Contender, type Figure, ours, takeTurns } from './support/turns.ts';

const { values } = parseArgs({
  options: {
    row: { type: 'string' },
    threads: { type: 'string', default: '2' },
    seconds: { type: 'string', default: '6' },
    rounds: { type: 'string', default: '5' },
    python: { type: 'string', default: defaultPython },
    'no-peer': { type: 'boolean', default: false },
  },
});
const threads = Number(values.threads);
const rounds = Number(values.rounds);
const turns = { rounds, milliseconds: (1000 * Number(values.seconds)) / 3 / rounds };
const NAMES = ['mlp', 'cnn', 'lstm', 'gpt', 'resnet18'];
const MODELLED = [4, 8, 16, 32, 64];

enableRevectorization();
const machine = machineWith(selectKernel().name);
console.log(machine);
const team = startTeam(threads, (error) => {
  throw error;
});
const helpers = leadTeam(team.lead);
const env = {
  PEER_THREADS: values.threads,
  OMP_NUM_THREADS: values.threads,
  OPENBLAS_NUM_THREADS: values.threads,
};
const peers = await openPeers(
  values['no-peer'] ? {} : { PyTorch: { script: 'models.py', env } },
  values.python,
);

/** As many programs as there are threads, each with its part of the batch: one in this thread, the others in threads of their own. */
async function openShards(row: Row): Promise<{ readonly contender: Contender; end(): Promise<unknown> }> {
  const part = { ...row, batch: row.batch / threads };
  const control = new Int32Array(new SharedArrayBuffer(128));
  const [GO, DONE] = [0, 16];
  const others = Array.from(
    { length: threads - 1 },
    () =>
      new Worker(new URL('./support/gradients-thread.ts', import.meta.url), {
        workerData: { name: row.name, batch: part.batch, control: control.buffer, go: GO, done: DONE },
      }),
  );
  const own = await openGradients(part);
  let wanted = 0;
  const run = () => {
    wanted += others.length;
    Atomics.add(control, GO, 1);
    Atomics.notify(control, GO);
    own.run();
    for (let now = Atomics.load(control, DONE); now !== wanted; now = Atomics.load(control, DONE))
      Atomics.wait(control, DONE, now);
  };
  return { contender: ours(run), end: () => Promise.all(others.map((other) => other.terminate())) };
}

const cell = ({ cpu, best }: Figure) => `${best.toFixed(2)} (${cpu.toFixed(2)})`;
const table = openTable([
  'model',
  'batch',
  'one thread, ms',
  `${threads} threads`,
  'worth',
  `${threads} programs`,
  ...peerHeadings(peers, 'ms'),
]);
const results = [];
for (const row of rows.filter(({ name }) => (values.row ? name === values.row : NAMES.includes(name)))) {
  const one = await openGradients(row);
  const several = await openGradients(row, helpers);
  const shards = await openShards(row);
  const contenders = [
    ours(one.run),
    ours(several.run),
    shards.contender,
    ...peers.map((peer) => peer.on(row.name)),
  ];
  const [alone, together, apart, ...theirs] = (await takeTurns(contenders, turns)) as [
    Figure,
    Figure,
    Figure,
    ...(Figure | undefined)[],
  ];
  await shards.end();
  several.destroy();
  const same = one.digest() === several.digest();
  if (!same) throw new Error(`${row.name}: ${threads} threads give other bits than one`);
  table([
    row.name,
    row.batch,
    cell(alone),
    cell(together),
    (alone.best / together.best).toFixed(2),
    cell(apart),
    ...peerCells(together, theirs, cell),
  ]);
  const parts = await cutShare(row, threads, turns.milliseconds);
  results.push({
    ...{ row: row.name, batch: row.batch, alone, together, apart, parts },
    peers: byPeer(peers, theirs),
  });
}
console.log('\nA model, from measured parts: how many times as fast as one thread\n');
const modelled = openTable(['model', 'cut', 'lost, ms', ...MODELLED.map((count) => `${count} threads`)]);
for (const { row, alone, together, parts } of results) {
  const share = parts.cut / (parts.cut + parts.alone);
  const time = (count: number) => alone.best * (1 - share + share / count);
  const lost = Math.max(0, together.best - time(threads));
  const worth = (count: number) => alone.best / (time(count) + lost);
  const cells = MODELLED.map((count) => worth(count).toFixed(1));
  modelled([row, `${(100 * share).toFixed(1)} %`, lost.toFixed(2), ...cells]);
}
for (const { close } of peers) close();
await team.end();
writeResults('threads', machine, peers, results);
