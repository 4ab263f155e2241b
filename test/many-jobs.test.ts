/** Hundreds of jobs of hundreds of epochs, one of 90,000, and errors of megabytes: whoever asks for them gets answers that fit. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { JobStore } from '@kasane/coordinator/internal/store/store';
import { startDashboard } from '@kasane/dashboard/server';
import type { CoordinatorClient } from '@kasane/protocol/client';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { jobPresets } from '@kasane/protocol/internal/job/presets';
import { checkJob } from '@kasane/protocol/job';
import {
  defaultLimits,
  ERROR_TEXT,
  JOB_HISTORY,
  JOBS_PAGE,
  LISTED_HISTORY,
  MOST_JOBS_PAGE,
} from '@kasane/protocol/limits';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CleanUp, TestCluster, temporaryDirectory } from './support/cluster.ts';

const JOBS = 950;
const EPOCHS = 110;
const LONG_EPOCHS = 90_000;
const cleanUp = new CleanUp();
const state = temporaryDirectory(cleanUp);
const cluster = new TestCluster(cleanUp, {}, state);
let client: CoordinatorClient;

/** Jobs as an earlier version may have left them. */
function fill(): void {
  new JobStore(state).close();
  const file = new DatabaseSync(join(state, 'kasane.sqlite'));
  const spec = JSON.stringify(checkJob(jobPresets['mnist-mlp']).spec);
  const job = file.prepare(
    'INSERT INTO jobs (id, name, spec, state, error, submittedAt, startedAt, endedAt, step) VALUES (?, ?, ?, ?, ?, ?, 1, 2, 9)',
  );
  const epoch = file.prepare("INSERT INTO epochs VALUES (?, ?, 0.5, 0.5, 0.5, 0.5, 0.001, 0, '{}')");
  const add = (id: string, at: number, epochs: number, error: string) => {
    job.run(id, 'name', spec, error ? JobState.JOB_STATE_FAILED : JobState.JOB_STATE_SUCCEEDED, error, at);
    for (let number = 1; number <= epochs; number++) epoch.run(id, number);
  };
  file.exec('BEGIN');
  for (let index = 0; index < JOBS; index++)
    // Some of them at the same moment.
    add(
      `job-${index}`,
      1000 + Math.floor(index / 3),
      EPOCHS,
      index % 50 === 0 ? '\u001b[31m'.repeat(400_000) : '',
    );
  add('long', 1e6, LONG_EPOCHS, '');
  file.exec('COMMIT');
  file.close();
}

beforeAll(async () => {
  fill();
  await cluster.start();
  client = cluster.client;
  cleanUp.add(() => client.close());
});
afterAll(() => cleanUp.run());

it('lists all jobs, newest first, each once, however large the pages are', async () => {
  const all = await client.list(Number.POSITIVE_INFINITY);
  expect(all.map(({ id }) => id)).toHaveLength(JOBS + 1);
  expect(new Set(all.map(({ id }) => id)).size).toBe(JOBS + 1);
  expect([...all].sort((a, b) => b.submittedAt - a.submittedAt)).toEqual(all);
  for (const most of [1, 7, JOBS_PAGE, MOST_JOBS_PAGE + 1])
    expect((await client.list(most)).map(({ id }) => id)).toEqual(all.slice(0, most).map(({ id }) => id));
  for (const job of all) {
    expect(job.history.length).toBeLessThanOrEqual(LISTED_HISTORY);
    expect(job.error.length).toBeLessThan(ERROR_TEXT + 40);
    expect(job.epoch).toBe(job.id === 'long' ? LONG_EPOCHS : EPOCHS);
    expect(job.history.at(-1)!.epoch).toBe(job.epoch);
  }
});

it('gives a selection of the epochs of a long job, and all of them page by page', async () => {
  const job = await client.get('long');
  const numbers = job.history.map(({ epoch }) => epoch);
  expect(numbers).toHaveLength(JOB_HISTORY);
  expect([numbers[0], numbers.at(-1)]).toEqual([1, LONG_EPOCHS]);
  expect(numbers.slice(-JOB_HISTORY / 2)).toEqual(
    Array.from({ length: JOB_HISTORY / 2 }, (_, i) => LONG_EPOCHS - JOB_HISTORY / 2 + 1 + i),
  );
  const all = await client.epochs('long');
  expect(all.map(({ epoch }) => epoch)).toEqual(Array.from({ length: LONG_EPOCHS }, (_, i) => i + 1));
  const watched: Job[] = [];
  for await (const now of client.watch('long')) watched.push(now);
  expect(watched.map(({ history }) => history.length)).toEqual([JOB_HISTORY]);
});

it.each([
  { args: ['jobs'], lines: JOBS + 2 },
  { args: ['jobs', '--json'], lines: 1 },
  { args: ['status'], lines: 10 },
  // The newest epochs, and how many there were before.
  { args: ['logs', 'long'], lines: defaultLimits.events + 5 },
  { args: ['logs', 'job-50'], lines: EPOCHS + 4 },
])('kasane $args', async ({ args, lines }) => {
  const script = fileURLToPath(new URL('../scripts/kasane.mjs', import.meta.url));
  const all = [script, ...args, '--coordinator', cluster.address];
  const { stdout } = await promisify(execFile)(process.execPath, all, { maxBuffer: 1 << 28 }).catch(
    // `logs` of a job that failed ends as it did.
    (error: { stdout: string; code: number }) => error,
  );
  expect(stdout.trimEnd().split('\n').length).toBeGreaterThanOrEqual(lines);
  expect(stdout.trimEnd().split('\n').length).toBeLessThan(lines + 3);
  expect(stdout).not.toContain('\u001b');
});

it('tells the page of them, and more of the one that it follows', async () => {
  const page = await startDashboard({ coordinator: cluster.address, port: 0 });
  cleanUp.add(() => page.close());
  const response = await fetch(`${page.url}/events?job=long`);
  let text = '';
  for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
    text += piece;
    if (/event: jobs\ndata: .*\n\n/.test(text)) break;
  }
  const jobs = JSON.parse(/event: jobs\ndata: (.*)\n\n/.exec(text)![1]!) as Job[];
  expect(jobs).toHaveLength(JOBS + 1);
  expect(jobs[0]!.id).toBe('long');
  expect(jobs[0]!.history).toHaveLength(JOB_HISTORY);
});

it('refuses a page that is none', async () => {
  const { JobsClient } = await import('@kasane/protocol/gen/kasane/v1/jobs');
  const { credentials, status } = await import('@grpc/grpc-js');
  const raw = new JobsClient(cluster.address, credentials.createInsecure());
  cleanUp.add(() => raw.close());
  for (const pageToken of ['x', '-1_2', '1_2_3', '9'.repeat(50_000), '\u0000']) {
    const listed = new Promise((_, reject) =>
      raw.list({ pageSize: 0, pageToken, sweep: '', withSpecs: false }, reject),
    );
    await expect(listed).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringMatching(/next_page_token/),
    });
    const epochs = new Promise((_, reject) =>
      raw.listEpochs({ job: 'long', pageSize: 0, pageToken }, reject),
    );
    await expect(epochs).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringMatching(/next_page_token/),
    });
  }
});
