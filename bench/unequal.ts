/**
 * What a machine costs that is worse than the others: three workers on this machine, and the same three with one behind a slow link, one
 * with a tenth of a processor, and one that stalls. Each is measured in turn with the three alone.
 *
 *     pnpm bench unequal [--steps 6000] [--rounds 1]
 *
 * The job is the MLP of bench/rows.ts in four shards. The link carries 2 Mbit/s each way and adds 40 ms (test/chaos/link.ts, as Redis and
 * coordinator are reached through it). The tenth of a processor is SIGSTOP and SIGCONT, 9 ms of 10; the one that stalls is stopped for 3 s
 * of every 10. All of them share two cores, so that a fourth worker takes something from the others as well.
 *
 * Expected before it was measured: 0.95 or more for each, since a worker that makes steps longer rests (docs/decisions/068), but for the
 * first second of a long one.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Link } from '../test/chaos/link.ts';
import { randomOf } from '../test/chaos/random.ts';
import { rows } from './rows.ts';
import { type MeasureOptions, measureSteps, singleSlots } from './support/cluster.ts';
import { jobOf } from './support/cluster-jobs.ts';

const { values } = parseArgs({
  options: { steps: { type: 'string', default: '6000' }, rounds: { type: 'string', default: '1' } },
});
const [steps, rounds] = [Number(values.steps), Number(values.rounds)];
const WARM_UP = 50;
const SHARDS = 4;
const WORKERS = 3;
const SLOW = { latencyMs: 40, loss: 0, bytesPerSecond: 250_000 };

type Odd = (coordinator: string, redisUrl: string) => Promise<() => void>;

async function worker(coordinator: string, redisUrl?: string): Promise<ChildProcess> {
  const options = {
    coordinator,
    slots: 1,
    logLevel: 'silent',
    ...(redisUrl && { redisUrl, sharedMemory: false }),
  };
  const child = fork(new URL(import.meta.resolve('@kasane/worker/internal/process')), {
    env: { ...process.env, KASANE_WORKER_OPTIONS: JSON.stringify(options) },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  await once(child, 'message');
  return child;
}

/** A worker that runs and stands in turn, so many milliseconds each. */
const halting =
  (runMs: number, standMs: number): Odd =>
  async (coordinator) => {
    const child = await worker(coordinator);
    let timer: NodeJS.Timeout;
    const run = () => {
      child.kill('SIGCONT');
      timer = setTimeout(stand, runMs);
    };
    const stand = () => {
      child.kill('SIGSTOP');
      timer = setTimeout(run, standMs);
    };
    run();
    return () => {
      clearTimeout(timer);
      child.kill('SIGKILL');
    };
  };

const odd: Readonly<Record<string, Odd>> = {
  'one behind 2 Mbit/s and 40 ms': async (coordinator, redisUrl) => {
    const redis = new URL(redisUrl);
    const ports = [new URL(`http://${coordinator}`), redis].map(({ port }) => Number(port));
    const links = await Promise.all(ports.map((port, index) => Link.open(port, randomOf(index))));
    for (const link of links) link.weather = SLOW;
    const [first, second] = links.map(({ port }) => port);
    redis.port = String(second);
    const child = await worker(`127.0.0.1:${first}`, redis.href);
    return () => {
      child.kill('SIGKILL');
      for (const link of links) link.close();
    };
  },
  'one with a tenth of a processor': halting(1, 9),
  'one that stalls for 3 s of 10': halting(7_000, 3_000),
};

/** Three workers, and one more. */
const withOdd =
  (one: Odd): MeasureOptions['workers'] =>
  async (coordinator, redisUrl) => {
    const end = await singleSlots(WORKERS)(coordinator, redisUrl);
    const endOdd = await one(coordinator, redisUrl);
    return () => {
      endOdd();
      return end();
    };
  };

const directory = mkdtempSync(join(tmpdir(), 'kasane-bench-'));
try {
  const job = jobOf(rows.find(({ name }) => name === 'mlp')!, directory, steps + WARM_UP, SHARDS);
  const msOf = async (workers: MeasureOptions['workers']) => {
    const { times } = await measureSteps({ job, steps, warmUp: WARM_UP, workers });
    return times.reduce((sum, { stepMs }) => sum + stepMs, 0) / times.length;
  };
  for (let round = 0; round < rounds; round++) {
    for (const [name, one] of Object.entries(odd)) {
      const alone = await msOf(singleSlots(WORKERS));
      const together = await msOf(withOdd(one));
      console.log(
        `three workers and ${name}: ${together.toFixed(1)} ms a step; three alone ${alone.toFixed(1)}; ${(alone / together).toFixed(2)} as fast`,
      );
    }
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
