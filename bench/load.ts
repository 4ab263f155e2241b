/**
 * One coordinator under the load of a large cluster: 200 workers that answer without computing, 50 who watch, 500 jobs.
 *
 *     pnpm bench load [--workers 200] [--watchers 50] [--jobs 500] [--seconds 60] [--processes 8] [--shared-memory]
 *
 * Each job has a shard for every worker and 100 steps; when one ends another is submitted. Samples go through Redis, tensors over
 * links, as they would between machines. All of it shares the cores of this machine, so steps a second are those of the whole.
 */
import { parseArgs } from 'node:util';
import { holdLoad, type LoadFigures, type Use } from '../test/load/hold.ts';
import { loadJob } from '../test/load/job.ts';
import { CleanUp, temporaryDirectory } from '../test/support/cluster.ts';

const { values } = parseArgs({
  options: {
    workers: { type: 'string', default: '200' },
    processes: { type: 'string', default: '8' },
    watchers: { type: 'string', default: '50' },
    jobs: { type: 'string', default: '500' },
    seconds: { type: 'string', default: '60' },
    'shared-memory': { type: 'boolean', default: false },
  },
});
const EPOCHS = 10;
const workers = Number(values.workers);
const cleanUp = new CleanUp();
const job = loadJob(temporaryDirectory(cleanUp), workers, EPOCHS);

const megabytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
const line = (name: string, { cores, startBytes, endBytes }: Use) =>
  `| ${name.padEnd(11)} | ${cores.toFixed(2).padStart(5)} | ${megabytes(startBytes).padStart(9)} | ${megabytes(endBytes).padStart(9)} |`;

function show(figures: LoadFigures): void {
  const { seconds, steps, stepMs, eventLoopMs, redis, seen, digests } = figures;
  const say = (text: string) => console.log(text);
  say(`\n${seconds.toFixed(0)} s: ${steps} steps, ${(steps / seconds).toFixed(1)} a second; a step takes`);
  say(`${stepMs.median.toFixed(1)} ms in the median, ${stepMs.p99.toFixed(1)} ms in the 99th of a hundred`);
  say('\n|             | cores | at start  | at end    |\n| ----------- | ----- | --------- | --------- |');
  for (const name of ['coordinator', 'redis', 'workers', 'watchers'] as const) say(line(name, figures[name]));
  say(`\nRedis has ${redis.connections} connections.`);
  const { median, p99, max } = eventLoopMs;
  say(
    `Event loop of the coordinator late by ${median.toFixed(1)} ms in the median, ${p99.toFixed(1)}, at most ${max.toFixed(0)}`,
  );
  say(
    `Watchers: ${seen.states} states, ${seen.metrics} messages of metrics, ${seen.calls} calls, the slowest ${seen.slowestCallMs?.toFixed(0)} ms`,
  );
  say(`Jobs that ended: ${figures.ended}, with ${digests.size} different digests`);
  for (const [when, complaints] of [
    ['before that, while all of them came', figures.earlier],
    ['in that time', figures.complaints],
  ] as const) {
    say(
      `Refused, failed or handed out again ${when}: ${Object.keys(complaints).length === 0 ? 'nothing' : ''}`,
    );
    for (const [sentence, count] of Object.entries(complaints)) say(`  ${count} x ${sentence}`);
  }
}

try {
  show(
    await holdLoad({
      workers,
      processes: Number(values.processes),
      watchers: Number(values.watchers),
      jobs: Number(values.jobs),
      job,
      seconds: Number(values.seconds),
      sharedMemory: values['shared-memory'],
      say: (text) => console.log(text),
    }),
  );
} finally {
  await cleanUp.run();
}
