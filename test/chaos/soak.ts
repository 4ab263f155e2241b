/** Hours of it: jobs one after the other, a fault every 20 s, the memory of every process watched. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChaosJob } from './job.ts';
import { complaints, type Punisher } from './punish.ts';
import { randomOf, shuffled } from './random.ts';
import { allFaults, type Planned } from './schedule.ts';
import type { Stage } from './stage.ts';

const EVERY_S = 20;
const SAMPLE_S = 10;
/** Seconds that lasting faults last: the next one comes after them. */
const LASTING_S = 10;

/** Returns what went wrong. */
export async function soak(
  stage: Stage,
  punisher: Punisher,
  job: ChaosJob,
  minutes: number,
  seed: number,
  say: (text: string) => void,
): Promise<string[]> {
  const random = randomOf(seed);
  const quiet = await punisher.run(stage, job, []);
  say(`quiet run ${quiet.seconds.toFixed(1)} s, digest ${quiet.digest.slice(0, 16)}`);
  const beginning = performance.now();
  const end = beginning + 60_000 * minutes;
  const minutesRun = () => (performance.now() - beginning) / 60_000;
  const memory: { coordinator: number; worker: number; redis: number }[] = [];
  let over = false;
  const watching = (async () => {
    while (!over) {
      try {
        memory.push({
          coordinator: stage.coordinatorChild.residentKb / 1024,
          worker: Math.max(...stage.workers.map(({ child }) => child.residentKb)) / 1024,
          redis: stage.redisChild.residentKb / 1024,
        });
      } catch {
        // It is being started anew.
      }
      await sleep(1000 * SAMPLE_S, undefined, { ref: false });
    }
  })();
  const wrong: string[] = [];
  let deck: Planned['fault'][] = [];
  let [jobs, fired, sinceFault] = [0, 0, 0];
  while (performance.now() < end) {
    const planned: Planned[] = [];
    // What faults cost counts too: as many steps apart as were reached in 20 s until now.
    const secondsPerStep = jobs === 0 ? quiet.seconds / job.steps : (60 * minutesRun()) / (jobs * job.steps);
    const gap = Math.max(1, Math.round(EVERY_S / secondsPerStep));
    const next = Math.max(gap - sinceFault, Math.round(0.02 * job.steps));
    for (let step = next; step < 0.9 * job.steps; step += gap) {
      if (deck.length === 0) deck = shuffled(allFaults, random);
      const worker = 1 + Math.floor(random() * stage.workers.length);
      planned.push({ fault: deck.pop()!, step, worker, seconds: LASTING_S });
    }
    sinceFault = job.steps - (planned.at(-1)?.step ?? -sinceFault);
    const run = await punisher.run(stage, job, planned);
    const found = complaints(run, quiet.digest);
    wrong.push(...found);
    jobs++;
    fired += run.blows.filter((blow) => blow.fired).length;
    say(
      `job ${jobs}: ${run.seconds.toFixed(1)} s, ${planned.map(({ fault }) => fault).join(' ') || 'no fault'}: ${found.join('; ') || 'same digest'}`,
    );
  }
  over = true;
  void watching;
  say(
    `${jobs} jobs in ${minutesRun().toFixed(0)} minutes, ${fired} faults fired, ${wrong.length} complaints; resident memory in MB:`,
  );
  for (const part of ['coordinator', 'worker', 'redis'] as const) {
    const quarter = Math.max(1, memory.length >> 2);
    const mean = (list: typeof memory) => list.reduce((sum, row) => sum + row[part], 0) / list.length;
    const most = Math.max(...memory.map((row) => row[part]));
    say(
      `  ${part}: ${mean(memory.slice(0, quarter)).toFixed(0)} in the first quarter, ${mean(memory.slice(-quarter)).toFixed(0)} in the last, ${most.toFixed(0)} at most`,
    );
  }
  return wrong;
}
