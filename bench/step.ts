/**
 * Where the time of a synchronous training step goes, and how it compares with PyTorch's DistributedDataParallel over
 * gloo on the same machine in the same run.
 *
 *     pnpm bench step [--steps 1000] [--rounds 3] [--python PATH]
 *
 * The job is the MLP of bench/rows.ts at a global batch of 128 in two shards, noise read by the workers or staged in Redis; two workers
 * with one slot each, as processes of their own, a coordinator in this process, Redis beside it. Figures are medians over the
 * steps. DDP runs between the rounds when PyTorch is found. `pnpm bench scaling` has other models, and what the second worker is worth.
 *
 * Expected before it was measured (one core each, 436 KB of parameters): compute 0.4 ms, gradients there and
 * parameters back about 0.3 ms a worker each way, update under 0.1 ms, the queue nothing, since tasks are fetched ahead.
 *
 * Found with dropout, AdamW and MNIST on two virtual cores, where four processes share two CPUs, so that a step costs what all of them
 * do for it: over gRPC 4.0 to 5.1 ms, 0.9 to 1.6 times what DistributedDataParallel took in the same runs. A data link of its own took
 * 5 % of that away, shared memory a quarter (docs/decisions/008), tasks of several steps in one queue entry as much again (005). What
 * is left: about 0.5 ms computes, 0.4 ms reduces, updates and publishes, the rest is Redis, BullMQ, and threads that wake each other.
 * Where workers read MNIST themselves and nothing is staged, a step takes another fifth less: 2.9 ms against 3.6, in a run in which
 * DistributedDataParallel took 4.9.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { StepTimes } from '@kasane/coordinator/internal/run/run-options';
import { rows } from './rows.ts';
import { measureSteps, singleSlots } from './support/cluster.ts';
import { jobOf } from './support/cluster-jobs.ts';
import { ddpScripts, peerSteps } from './support/ddp.ts';
import { median } from './support/median.ts';
import { openPeers } from './support/peers.ts';
import { defaultPython } from './support/python.ts';

const { values } = parseArgs({
  options: {
    steps: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '3' },
    python: { type: 'string', default: defaultPython },
  },
});
const steps = Number(values.steps);
const rounds = Number(values.rounds);
const WARM_UP = 100;

/** How tensors and samples reach the workers. */
interface Way {
  readonly name: string;
  readonly sharedMemory: boolean;
  readonly route: 'direct' | 'staged';
}

const ways: readonly Way[] = [
  { name: 'as it comes', sharedMemory: true, route: 'direct' },
  { name: 'samples staged', sharedMemory: true, route: 'staged' },
  { name: 'and over links', sharedMemory: false, route: 'staged' },
];

const directory = mkdtempSync(join(tmpdir(), 'kasane-bench-'));
const peers = await openPeers(ddpScripts, values.python);
const measured = ways.map((): StepTimes[] => []);
const theirs: number[] = [];
try {
  const job = jobOf(rows.find(({ name }) => name === 'mlp')!, directory, steps + WARM_UP);
  for (let round = 0; round < rounds; round++) {
    for (const [index, { sharedMemory, route }] of ways.entries()) {
      const { times } = await measureSteps({
        job: { ...job, data: { ...job.data, route } },
        ...{ steps, warmUp: WARM_UP, workers: singleSlots(2, sharedMemory) },
      });
      measured[index]!.push(...times);
      for (const peer of peers) theirs.push(...((await peerSteps(peer, 'mlp', 2, steps))?.times ?? []));
    }
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
  for (const { close } of peers) close();
}

const parts: readonly [string, (times: StepTimes) => number][] = [
  ['compute (slower of the two shards)', (t) => t.computeMs],
  ['queue (waiting for a task to be fetched)', (t) => t.queueMs],
  [
    'parameters out and gradients in',
    (t) => t.stepMs - t.computeMs - t.queueMs - t.reduceMs - t.applyMs - t.publishMs,
  ],
  ['reduction', (t) => t.reduceMs],
  ['update', (t) => t.applyMs],
  ['publishing the new version', (t) => t.publishMs],
  ['step', (t) => t.stepMs],
];
const medians = (list: readonly StepTimes[]) => parts.map(([, pick]) => median(list.map(pick)));
const columns = measured.map(medians);
const steady = columns.map((column) => column.at(-1)!);
console.log(
  `MLP, batch 128, 2 workers x 1 slot, median of ${measured[0]!.length} steps (Node ${process.version}, ${process.arch})\n`,
);
console.log(`${' '.repeat(44)}${ways.map(({ name }) => name.padStart(20)).join('')}`);
for (const [row, [name]] of parts.entries()) {
  const cells = columns.map((column, index) => {
    const share = ((100 * column[row]!) / steady[index]!).toFixed(0);
    return `${column[row]!.toFixed(3)} ms ${share.padStart(4)} %`.padStart(20);
  });
  console.log(`  ${name.padEnd(42)}${cells.join('')}`);
}
if (theirs.length > 0) {
  const peer = median(theirs);
  console.log(
    `\n  PyTorch ${peers[0]!.version} DistributedDataParallel, gloo, 2 processes: ${peer.toFixed(3)} ms`,
  );
  const ratios = steady.map((step, index) => `${(step / peer).toFixed(2)} ${ways[index]!.name}`);
  console.log(`  ratio ours / theirs: ${ratios.join(', ')}`);
}
