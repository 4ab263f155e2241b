/**
 * What a second worker is worth: the same job and the same global batch in two shards, on one worker with one slot and on two; and what a
 * second process is worth to PyTorch, under DistributedDataParallel over gloo, each with one thread. And what two workers could be
 * worth at most, with machines of their own and the coordinator elsewhere: one worker with one of the two shards, while the
 * other core does the rest. All five take turns.
 *
 *     pnpm bench scaling [--row resnet18 --row cnn] [--rounds 3] [--cpu] [--python PATH] [--no-peer]
 *
 * The machine should have two cores with nothing else to do; with fewer, the second worker is worth nothing. Figures are medians over
 * the steps. Two would be worth twice as much as one, which cannot be, since coordinator and Redis use the same two cores. `idle` is what
 * is left of a step beside the slower worker's computation. The steps before those that are measured take more than the three seconds after
 * which a job's layers are looked at for the first time, and there are samples enough that no epoch ends.
 *
 * --cpu: also what a step costs, as CPU time by role. Where all cores are in use, that is what decides.
 *
 * Prints Markdown tables, and writes everything to bench/results/scaling.json.
 *
 * Expected before it was measured, on two idle cores. MLP: 0.7 ms of computation in all, but 2 ms of CPU time of Redis, queue and
 * coordinator, which does not become less by a second worker: 1.0; of PyTorch 1.1 ms, and as much for a ring of two: 0.8. CNN: 18 ms,
 * so 1.7, as of PyTorch's 28. GPT: 200 ms against 3 MB of gradients: 1.9, and 1.9. ResNet-18: 11 million parameters, which cost 30 ms
 * of CPU time to sum, update and publish beside 600 ms on each of two workers: 1.9; PyTorch sends its gradients twice
 * through loopback, some 60 ms, of which half while it computes: 1.85. Found on a machine that others used too: 0.7 and 0.4, 1.3 and
 * 1.5, 1.8 and 2.0, 1.7 and 1.8; docs/performance.md has the rest.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { StepTimes } from '@kasane/coordinator/internal/run/run-options';
import { rows } from './rows.ts';
import { measureSteps, singleSlots } from './support/cluster.ts';
import { jobOf } from './support/cluster-jobs.ts';
import { type CpuRole, cpuRoles } from './support/cpu.ts';
import { ddpScripts, type PeerSteps, peerSteps } from './support/ddp.ts';
import { median } from './support/median.ts';
import { openPeers } from './support/peers.ts';
import { defaultPython } from './support/python.ts';
import { machine, openTable, writeResults } from './support/results.ts';

const { values } = parseArgs({
  options: {
    row: { type: 'string', multiple: true, default: ['mlp', 'cnn', 'gpt', 'resnet18'] },
    rounds: { type: 'string', default: '3' },
    cpu: { type: 'boolean', default: false },
    python: { type: 'string', default: defaultPython },
    'no-peer': { type: 'boolean', default: false },
  },
});
/** Steps before those that are measured, at least five seconds of them, and measured steps of a round. */
const steps: Readonly<Record<string, readonly [number, number]>> = {
  mlp: [2500, 1000],
  cnn: [500, 300],
  gpt: [50, 40],
  resnet18: [15, 16],
};

interface Side {
  readonly stepMs: number;
  /** CPU time of a step, of all processes. */
  readonly cpuMs: number;
}
interface Ours extends Side {
  /** Part of a step in which the slower worker does not compute. */
  readonly idle: number;
  readonly cpuByRole: Readonly<Record<CpuRole, number>>;
}

function ourSide(
  { workers, shards }: (typeof sides)[number],
  times: readonly StepTimes[],
  costs: readonly Readonly<Record<CpuRole, number>>[],
): Ours {
  const stepMs = median(times.map((time) => time.stepMs));
  // One worker computes two shards one after the other.
  const computeMs = (shards / workers) * median(times.map((time) => time.computeMs));
  const cpuByRole = Object.fromEntries(
    cpuRoles.map((role) => [role, median(costs.map((cost) => cost[role]))]),
  );
  const cpuMs = Object.values(cpuByRole).reduce((sum, ms) => sum + ms, 0);
  return { stepMs, cpuMs, idle: 1 - computeMs / stepMs, cpuByRole: cpuByRole as Ours['cpuByRole'] };
}

const theirSide = (answers: readonly PeerSteps[]): Side | undefined =>
  answers.length === 0
    ? undefined
    : {
        stepMs: median(answers.flatMap(({ times }) => times)),
        cpuMs: median(answers.map(({ cpu }) => cpu)),
      };

/** Three of them, or as many as stand before the point. */
const digits = (ms: number) => ms.toFixed(ms < 10 ? 2 : ms < 100 ? 1 : 0);

const sides = [
  { workers: 1, shards: 2 },
  { workers: 2, shards: 2 },
  { workers: 1, shards: 1 },
] as const;
const peers = await openPeers(values['no-peer'] ? {} : ddpScripts, values.python);
const [peer] = peers;
const on = `${machine()}, ${cpus().length} cores`;
console.log(on);
const directory = mkdtempSync(join(tmpdir(), 'kasane-bench-'));
const results = [];
const line = openTable([
  ...['model', 'batch', 'kasane 1, ms', 'idle', 'kasane 2, ms', 'idle', 'worth', 'half, ms', 'at most'],
  ...(peer ? ['PyTorch 1, ms', 'PyTorch 2, ms', 'worth', 'kasane / PyTorch, 2'] : []),
]);
try {
  for (const name of values.row) {
    const row = rows.find((one) => one.name === name);
    const [warmUp, count] = steps[name] ?? [];
    if (!row || !warmUp || !count)
      throw new Error(`--row: '${name}'; there are ${Object.keys(steps).join(', ')}`);
    const jobs = sides.map(({ shards }) =>
      jobOf(row, join(directory, name, String(shards)), warmUp + count, shards),
    );
    const times = sides.map((): StepTimes[] => []);
    const costs = sides.map((): Readonly<Record<CpuRole, number>>[] => []);
    const answers = sides.slice(0, 2).map((): PeerSteps[] => []);
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const [index, { workers, shards }] of sides.entries()) {
        const measured = await measureSteps({
          ...{ job: jobs[index]!, steps: count, warmUp, workers: singleSlots(workers) },
        });
        times[index]!.push(...measured.times);
        costs[index]!.push(measured.cpu);
        const answer = peer && shards === 2 && (await peerSteps(peer, name, workers, count));
        if (answer) answers[index]!.push(answer);
      }
    }
    rmSync(join(directory, name), { recursive: true });
    const ours = sides.map((side, index) => ourSide(side, times[index]!, costs[index]!));
    const theirs = answers.map(theirSide);
    const [one, two, half] = ours as [Ours, Ours, Ours];
    const [theirOne, theirTwo] = theirs;
    const worth = (alone: Side, together: Side) => (alone.stepMs / together.stepMs).toFixed(2);
    const percent = (part: number) => `${(100 * part).toFixed(1)} %`;
    const ms = ({ stepMs }: Side) => digits(stepMs);
    line([
      ...[name, row.batch, ms(one), percent(one.idle), ms(two), percent(two.idle), worth(one, two)],
      ...[ms(half), worth(one, half)],
      ...(theirOne && theirTwo
        ? [ms(theirOne), ms(theirTwo), worth(theirOne, theirTwo), (two.stepMs / theirTwo.stepMs).toFixed(2)]
        : []),
    ]);
    results.push({ row: name, batch: row.batch, steps: times[0]!.length, ours, peers: { PyTorch: theirs } });
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
  for (const { close } of peers) close();
}
if (values.cpu) {
  console.log('\nCPU time of a step, ms');
  const cell = (cost: number | undefined) => (cost === undefined ? '' : digits(cost));
  const cpuLine = openTable(['model', 'workers, of shards', ...cpuRoles, 'all', 'PyTorch, all']);
  for (const { row, ours, peers: theirs } of results) {
    for (const [index, { cpuByRole, cpuMs }] of ours.entries()) {
      const byRole = cpuRoles.map((role) => cell(cpuByRole[role]));
      const { workers, shards } = sides[index]!;
      cpuLine([row, `${workers}, of ${shards}`, ...byRole, cell(cpuMs), cell(theirs.PyTorch[index]?.cpuMs)]);
    }
  }
}
writeResults('scaling', on, peers, results);
