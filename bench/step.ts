/**
 * Where the time of a synchronous training step goes, and how it compares with PyTorch's DistributedDataParallel over
 * gloo on the same machine in the same run.
 *
 *     pnpm bench step [--steps 1000] [--rounds 3]
 *
 * The job is the mnist-mlp preset at a global batch of 128 in two shards, MNIST read by the workers or staged in Redis; two workers
 * with one slot each, as processes of their own, a coordinator in this process, Redis beside it. Figures are medians over the
 * steps. DDP runs between the rounds when a python3 with torch is found.
 *
 * Expected before it was measured (one core each, 436 KB of parameters): compute 0.4 ms, gradients there and
 * parameters back about 0.3 ms a worker each way, update under 0.1 ms, the queue nothing, since tasks are fetched ahead.
 *
 * Found on two virtual cores, where four processes share two CPUs, so that a step costs what all of them do for it: over gRPC 4.0 to
 * 5.1 ms, 0.9 to 1.6 times what DistributedDataParallel took in the same runs. A data link of its own took 5 % of that away, shared
 * memory a quarter (docs/decisions/008), tasks of several steps in one queue entry as much again (005). What is left: about 0.5 ms
 * computes, 0.4 ms reduces, updates and publishes, the rest is Redis, BullMQ, and threads that wake each other.
 * Where workers read MNIST themselves and nothing is staged, a step takes another fifth less: 2.9 ms against 3.6, in a run in which
 * DistributedDataParallel took 4.9.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { StepTimes } from '@kasane/coordinator/jobs/run-options';
import { jobPresets } from '@kasane/protocol/presets';
import { measureSteps, singleSlots } from './support/cluster.ts';
import { median } from './support/median.ts';

const { values } = parseArgs({
  options: { steps: { type: 'string', default: '1000' }, rounds: { type: 'string', default: '3' } },
});
const steps = Number(values.steps);
const rounds = Number(values.rounds);

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

/** Trains `steps` steps on two single-slot workers and returns the times of each, the first hundred left out. */
function measure({ sharedMemory, route }: Way): Promise<StepTimes[]> {
  const preset = jobPresets['mnist-mlp']!;
  const training = { ...preset.training, batch: 128, shards: 2, epochs: 1000 };
  const job = { ...preset, name: 'bench-step', data: { format: 'idx', route }, training };
  return measureSteps({ job, steps, warmUp: 100, workers: singleSlots(2, sharedMemory) });
}

/** PyTorch's figures, or undefined where it is not installed. */
function ddp(): { torch: string; single_ms: number; ddp_ms: number } | undefined {
  for (const python of ['/usr/bin/python3', 'python3']) {
    try {
      const script = join(import.meta.dirname, 'peers/ddp.py');
      const output = execFileSync(python, [script, '--steps', String(steps)], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      return JSON.parse(output.trim().split('\n').at(-1) ?? '');
    } catch {
      // no torch in this one
    }
  }
  return undefined;
}

const measured = ways.map((): StepTimes[] => []);
const theirs: { torch: string; single_ms: number; ddp_ms: number }[] = [];
for (let round = 0; round < rounds; round++) {
  for (const [index, way] of ways.entries()) {
    measured[index]!.push(...(await measure(way)));
    const peer = ddp();
    if (peer) theirs.push(peer);
  }
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
  `mnist-mlp, batch 128, 2 workers x 1 slot, median of ${measured[0]!.length} steps (Node ${process.version}, ${process.arch})\n`,
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
  const peer = median(theirs.map((t) => t.ddp_ms));
  console.log(
    `\n  PyTorch ${theirs[0]!.torch} DistributedDataParallel, gloo, 2 processes: ${peer.toFixed(3)} ms`,
  );
  const ratios = steady.map((step, index) => `${(step / peer).toFixed(2)} ${ways[index]!.name}`);
  console.log(`  ratio ours / theirs: ${ratios.join(', ')}`);
} else {
  console.log('\n  PyTorch was not found: no comparison.');
}
