/** The commands that ask a running coordinator about its jobs and workers. */
import { type ClientOptions, CoordinatorClient, requireSuccess } from '@kasane/protocol/client';
import { parseJobFile } from '@kasane/protocol/job';
import { jobPresets } from '@kasane/protocol/presets';
import { formatMetric, jobRecord, jobTable, metricName } from '../render/job.ts';
import { moment, table } from '../render/table.ts';
import { follow, fromHere, readJob, readJobText } from './train.ts';

async function withClient<T>(
  options: ClientOptions,
  body: (client: CoordinatorClient) => Promise<T>,
): Promise<T> {
  const client = new CoordinatorClient(options);
  try {
    return await body(client);
  } finally {
    client.close();
  }
}

const print = (line: string) => process.stdout.write(`${line}\n`);

/** Checks a job file here, so that messages have its line numbers, then queues it. */
export async function submit(
  file: string,
  options: ClientOptions & { watch?: boolean; priority: number },
): Promise<void> {
  const preset = Object.hasOwn(jobPresets, file);
  const text = preset ? JSON.stringify(readJob(file)) : readJobText(file);
  const spec = fromHere(parseJobFile(text, file).spec);
  await withClient(options, async (client) => {
    const job = await client.submit(JSON.stringify(spec), options.priority);
    print(job);
    if (options.watch) requireSuccess(await follow(client, job));
  });
}

export async function jobs(options: ClientOptions & { json?: boolean }): Promise<void> {
  await withClient(options, async (client) => {
    const list = await client.list();
    print(options.json ? JSON.stringify(list.map(jobRecord)) : jobTable(list));
  });
}

/** Follows a job until it ends; with `json`, one object a change on standard output. */
export async function watch(
  job: string,
  options: ClientOptions & { json?: boolean; tensorboard?: string },
): Promise<void> {
  await withClient(options, async (client) => {
    if (options.json) {
      for await (const now of client.watch(job)) print(JSON.stringify(jobRecord(now)));
    } else {
      const ended = await follow(client, job, options.tensorboard);
      const record = jobRecord(ended);
      const { testMetric } = record;
      const reached =
        testMetric === null ? '' : `, test ${metricName(ended)} ${formatMetric(ended, testMetric)}`;
      print(`${job} ${record.state}${reached}${record.error ? `: ${record.error}` : ''}`);
    }
    requireSuccess(await client.get(job));
  });
}

export async function cancel(job: string, options: ClientOptions): Promise<void> {
  await withClient(options, async (client) => {
    await client.cancel(job);
    print(`${job} cancelled`);
  });
}

export async function pause(job: string, options: ClientOptions): Promise<void> {
  await withClient(options, async (client) => {
    const { epoch, epochs, step } = await client.pause(job);
    print(`${job} paused after step ${step}, in epoch ${Math.min(epoch + 1, epochs)} of ${epochs}`);
  });
}

/** Queues the file of a job that has ended as a new one; prints its id. */
export async function retry(job: string, options: ClientOptions & { watch?: boolean }): Promise<void> {
  await withClient(options, async (client) => {
    const id = await client.retry(job);
    print(id);
    if (options.watch) requireSuccess(await follow(client, id));
  });
}

export async function priority(job: string, value: number, options: ClientOptions): Promise<void> {
  await withClient(options, async (client) => {
    const { priority: now } = await client.setPriority(job, value);
    print(`${job} has priority ${now}`);
  });
}

/** Lets a job that is paused or has ended go on. */
export async function resume(
  job: string,
  options: ClientOptions & { epochs?: number; watch?: boolean },
): Promise<void> {
  await withClient(options, async (client) => {
    const { epoch, epochs } = await client.resume(job, options.epochs ?? 0);
    print(`${job} goes on after epoch ${epoch} of ${epochs}`);
    if (options.watch) requireSuccess(await follow(client, job));
  });
}

/** Who computes. */
export async function workers(options: ClientOptions & { json?: boolean }): Promise<void> {
  const { workers: list } = await withClient(options, (client) => client.status());
  if (options.json) {
    print(JSON.stringify(list));
  } else if (list.length === 0) {
    process.stderr.write(`no workers are connected: kasane worker --coordinator ${options.coordinator}\n`);
  } else {
    const rows = list.map((worker) => [
      worker.id,
      worker.host,
      worker.backend,
      String(worker.slots),
      String(worker.tasksDone),
      worker.draining ? `${worker.tasksHeld}, draining` : String(worker.tasksHeld),
      moment(new Date(worker.connectedAt).toISOString()),
    ]);
    print(table(['WORKER', 'HOST', 'BACKEND', 'SLOTS', 'DONE', 'HELD', 'SINCE'], rows));
  }
}
