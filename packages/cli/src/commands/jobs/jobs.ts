/** The commands that ask a running coordinator about its jobs and workers. */

import { type ClientOptions, type CoordinatorClient, requireSuccess } from '@kasane/protocol/client';
import { KasaneError } from '@kasane/protocol/errors';
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { jobRecord } from '@kasane/protocol/internal/job/job-record';
import type { GivenOptions } from '../../files/read-job.ts';
import { err, out } from '../../output/say.ts';
import { withClient } from '../../process/with-client.ts';
import { count } from '../../render/count.ts';
import { formatMetric, jobTable, metricName } from '../../render/job.ts';
import { sweepRecord } from '../../render/sweep.ts';
import { moment, table } from '../../render/table.ts';
import { workerCells, workerHead } from '../../render/worker.ts';

const print = (...lines: readonly string[]) => out.lines(...lines);

/** What all of these take. */
interface Options extends ClientOptions {
  readonly json?: boolean;
}

/** Says what became of a job: a line, or the job as `kasane jobs --json` has it. */
const printJob = (job: Job, line: string, { json }: Options) =>
  print(json ? JSON.stringify(jobRecord(job)) : line);
/** A job that was queued, and what is worth knowing of it. */
function printQueued(job: string, notes: readonly string[], { json }: Options): void {
  print(json ? JSON.stringify({ job, notes }) : job);
  if (!json) err.lines(...notes.map((note) => `Note: ${note}`));
}

/** Checks a job file here, so that messages have its line numbers, then queues it. `-` is standard input. */
export async function submit(
  file: string,
  options: Options & GivenOptions & { watch?: boolean; dryRun?: boolean; priority: number },
): Promise<void> {
  const { jobOf } = await import('../../files/read-job.ts');
  const { sourceOf } = await import('../../files/job-source.ts');
  const { networkLine, planLines, planRecord } = await import('../../render/job-plan.ts');
  const job = await jobOf(file, options);
  const text = JSON.stringify(job.spec);
  await withClient(options, async (client) => {
    if (options.dryRun) {
      const plan = await client.check(text);
      print(...(options.json ? [JSON.stringify(planRecord(job, plan))] : planLines(job, plan)));
      return;
    }
    const notes: string[] = [];
    const hear = (note: string) => notes.push(note);
    const id = await client.submit(text, options.priority, await sourceOf(file), hear);
    printQueued(id, notes, options);
    const network = networkLine(job);
    if (network) err.lines(`over a network, ${network}`);
    if (options.watch) await watchBeside(client, id);
  });
}

export async function jobs({ tag, ...options }: Options & { tag?: string }): Promise<void> {
  await withClient(options, async (client) => {
    const all = await client.list(Number.POSITIVE_INFINITY);
    const list = tag === undefined ? all : all.filter(({ tags }) => tags.includes(tag));
    if (options.json) print(JSON.stringify(list.map(jobRecord)));
    else if (list.length > 0) print(...jobTable(list).split('\n'));
    else if (tag !== undefined) err.lines(`no job has the tag '${tag}'`);
    else err.write('no jobs yet; submit one with `kasane submit mnist-mlp`\n');
  });
}

/** What became of a job that has ended: its state, and of weights the digest, to be compared with that of another training. */
function outcome(ended: Job): readonly string[] {
  const { job, state, error, testMetric, digest } = jobRecord(ended);
  const reached = testMetric === null ? '' : `, test ${metricName(ended)} ${formatMetric(ended, testMetric)}`;
  const first = `${job} ${state}${reached}${error ? `: ${error}` : ''}`;
  return digest ? [first, `SHA-256  ${digest}`] : [first];
}

/** Follows a job until it ends. Whoever stops looking stops nothing else, and is told so. */
async function watchUntilEnd(client: CoordinatorClient, id: string, tensorboard?: string): Promise<Job> {
  const { follow } = await import('./follow.ts');
  return await follow(client, id, {
    tensorboard,
    left: `${id} continues: follow it with \`kasane watch ${id}\`, or end it with \`kasane cancel ${id}\``,
  });
}

/** Of a command whose result has been printed: the outcome goes where progress goes. */
async function watchBeside(client: CoordinatorClient, id: string): Promise<void> {
  const ended = await watchUntilEnd(client, id);
  requireSuccess(ended);
  err.lines(...outcome(ended));
}

/** Follows a job until it ends; with `json`, one object a change on standard output. */
export async function watch(job: string, options: Options & { tensorboard?: string }): Promise<void> {
  await withClient(options, async (client) => {
    if (options.json) {
      for await (const now of client.watch(job)) print(JSON.stringify(jobRecord(now)));
    } else {
      print(...outcome(await watchUntilEnd(client, job, options.tensorboard)));
    }
    requireSuccess(await client.get(job));
  });
}

export async function cancel(id: string, options: Options): Promise<void> {
  await withClient(options, async (client) => {
    let job: Job;
    try {
      job = await client.cancel(id);
    } catch (error) {
      if (!(error instanceof KasaneError && error.code === 'JOB_NOT_FOUND')) throw error;
      if (await cancelSweep(client, id, options)) return;
      throw error;
    }
    printJob(job, `${id} cancelled`, options);
  });
}

/** @returns false where there is no sweep of this ID */
async function cancelSweep(client: CoordinatorClient, id: string, { json }: Options): Promise<boolean> {
  try {
    const sweep = await client.sweeps.cancel(id);
    print(json ? JSON.stringify(sweepRecord(sweep)) : `${id} cancelled`);
    return true;
  } catch (error) {
    if (error instanceof KasaneError && error.code === 'SWEEP_NOT_FOUND') return false;
    throw error;
  }
}

export async function pause(id: string, options: Options): Promise<void> {
  await withClient(options, async (client) => {
    const job = await client.pause(id);
    const { epoch, epochs, step } = job;
    const where = `in epoch ${Math.min(epoch + 1, epochs)} of ${epochs}`;
    printJob(job, `${id} paused after step ${step}, ${where}`, options);
  });
}

/** Lets a job that is paused or has ended go on. */
export async function resume(
  id: string,
  options: Options & { epochs?: number; watch?: boolean },
): Promise<void> {
  await withClient(options, async (client) => {
    const job = await client.resume(id, options.epochs ?? 0);
    printJob(
      job,
      `${id} continues in epoch ${Math.min(job.epoch + 1, job.epochs)} of ${job.epochs}`,
      options,
    );
    if (options.watch) await watchBeside(client, id);
  });
}

/** Queues the file of a job that has ended as a new one; prints its id. */
export async function retry(id: string, options: Options & { watch?: boolean }): Promise<void> {
  await withClient(options, async (client) => {
    const notes: string[] = [];
    const next = await client.retry(id, (note) => notes.push(note));
    printQueued(next, notes, options);
    if (options.watch) await watchBeside(client, next);
  });
}

export async function priority(id: string, value: number, options: Options): Promise<void> {
  await withClient(options, async (client) => {
    const job = await client.setPriority(id, value);
    printJob(job, `${id} has priority ${job.priority}`, options);
  });
}

/** Has a worker finish what it computes and stop. */
export async function drain(worker: string, options: Options): Promise<void> {
  await withClient(options, async (client) => {
    const draining = await client.drain(worker);
    const line = `${worker} stops after its ${count(draining.tasksHeld, 'current task')}`;
    print(options.json ? JSON.stringify(draining) : line);
  });
}

/** Who computes. */
export async function workers(options: Options): Promise<void> {
  const { workers: list, quarantined } = await withClient(options, (client) => client.status());
  for (const { id, host, why } of quarantined) err.lines(`quarantined: ${id} on ${host}, ${why?.text}`);
  if (options.json) {
    print(JSON.stringify(list));
  } else if (list.length === 0) {
    err.write(
      `no workers are connected; start one with \`kasane worker --coordinator ${options.coordinator}\`\n`,
    );
  } else {
    const rows = list.map((worker) => [
      ...workerCells(worker),
      moment(new Date(worker.connectedAt).toISOString()),
    ]);
    print(...table([...workerHead, 'SINCE'], rows).split('\n'));
    for (const { id, resting, routes } of list)
      for (const { text } of [...resting, ...routes]) print(`${id} ${text}`);
  }
}
