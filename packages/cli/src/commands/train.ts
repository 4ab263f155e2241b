/** `kasane train`: a job on a cluster of this machine, from start to weights. */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join, resolve } from 'node:path';
import { ranked } from '@kasane/coordinator/jobs/best-epoch';
import { checkSteps } from '@kasane/coordinator/jobs/check-training';
import { loadData } from '@kasane/coordinator/jobs/load-data';
import { startingWeights } from '@kasane/coordinator/jobs/starting-weights';
import { anywhere } from '@kasane/data/access';
import { decodeText } from '@kasane/data/decode-text';
import { isUrl } from '@kasane/data/remote';
import { CoordinatorClient, requireSuccess } from '@kasane/protocol/client';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import type { Job as JobMessage } from '@kasane/protocol/gen/kasane/v1/jobs';
import { checkJob, type JobSpec } from '@kasane/protocol/job';
import { JOB_FILE_BYTES } from '@kasane/protocol/limits';
import { jobPresets } from '@kasane/protocol/presets';
import { suggest } from '@kasane/tensor/nn/nearest';
import { kindOfPath, readRegularSync } from '@kasane/tensor/node/regular-file';
import { metricOf } from '@kasane/tensor/objective';
import type { Backend, GpuStorage } from '@kasane/worker/gpu';
import { EmbeddedCluster, guarded } from '../cluster.ts';
import { makeLog } from '../log.ts';
import { type LogLevel, trainingOverrides } from '../options.ts';
import { deliver, requireWritable } from '../output-file.ts';
import { count, took } from '../render/count.ts';
import { formatMetric, metricName } from '../render/job.ts';
import { expensiveLayers, joinTraces } from '../render/profile.ts';
import { type ProgressView, progressView } from '../render/progress.ts';
import { err, out } from '../say.ts';
import { recordJob } from '../tensorboard/record.ts';
import type { ForkedWorker } from '../worker-processes.ts';

export interface TrainOptions {
  readonly workers: number;
  readonly slots: number;
  readonly backend: Backend;
  readonly gpuStorage: GpuStorage;
  readonly profile?: string;
  readonly data?: string;
  readonly redis?: string;
  readonly out?: string;
  readonly tensorboard?: string;
  readonly open?: boolean;
  readonly json?: boolean;
  readonly logLevel: LogLevel;
  readonly [override: string]: unknown;
}

/** @param forked workers with these options that wait for a coordinator */
export async function train(
  jobOrPreset: string,
  options: TrainOptions,
  forked: readonly ForkedWorker[],
): Promise<void> {
  const spec = withOverrides(await readJob(jobOrPreset), options);
  // Damaged data is said before a cluster is started for it. What Kasane brings along needs no second look.
  if (spec.data.path !== undefined) {
    const job = checkJob(spec);
    checkSteps(job, await loadData(job, anywhere));
  }
  const view = progressView();
  const say = (line: string) => view.write(`${line}\n`);
  const start =
    spec.init === undefined ? undefined : (await startingWeights(checkJob(spec), '', anywhere)).what;
  if (start) say(`Start: ${start}`);
  const cluster = new EmbeddedCluster({
    workers: options.workers,
    slots: options.slots,
    backend: options.backend,
    gpuStorage: options.gpuStorage,
    profile: options.profile !== undefined,
    redisUrl: options.redis ?? process.env.REDIS_URL,
    forked,
    log: makeLog(options.logLevel, 'text', (lines) => view.write(lines)),
    say,
  });
  const out = resolve(options.out ?? join('.kasane', `${spec.name}.safetensors`));
  requireWritable(out);
  const job = await guarded(
    async () => {
      const { address } = await cluster.start();
      const client = new CoordinatorClient({ coordinator: address });
      const page = options.open ? await openDashboard(address, say) : undefined;
      try {
        const id = await client.submit(JSON.stringify(spec));
        const ended = await Promise.race([
          follow(client, id, { tensorboard: options.tensorboard, view }),
          cluster.failed,
        ]);
        requireSuccess(ended);
        try {
          deliver(ended.model, out);
        } catch (error) {
          cluster.keepFiles();
          throw error;
        }
        if (options.profile !== undefined) {
          const costs = joinTraces(cluster.traces, options.profile);
          say(`\n${expensiveLayers(costs)}\nProfile  ${resolve(options.profile)}`);
        }
        // A job shows a selection of many epochs; the report is of all.
        return { ...ended, history: await client.epochs(ended.id) };
      } finally {
        client.close();
        await page?.close();
      }
    },
    () => cluster.close(),
  );
  report(job, spec, out, options.json === true);
}

async function openDashboard(coordinator: string, say: (line: string) => void) {
  const { dashboardBeside, openBrowser } = await import('./dashboard.ts');
  const page = await dashboardBeside({ port: 0, coordinator }, say);
  if (page) openBrowser(page.url);
  return page;
}

/** A job file, or a preset by its name. */
export async function readJob(jobOrPreset: string): Promise<JobSpec> {
  const preset = Object.hasOwn(jobPresets, jobOrPreset) ? jobPresets[jobOrPreset] : undefined;
  if (preset) return checkJob(preset).spec;
  const { parseJobFile } = await import('@kasane/protocol/job-file');
  return parseJobFile(readJobText(jobOrPreset), jobOrPreset).spec;
}

/** @param path `-` for standard input. @throws KasaneError NO_INPUT, or JOB_INVALID when the file cannot be read */
export function readJobText(path: string): string {
  const refuse = (why: string, cause?: unknown) => new KasaneError('JOB_INVALID', why, { cause });
  if (path === '-') return readFileSync(0, 'utf8');
  const kind = kindOfPath(path);
  if (kind === 'folder')
    throw refuse(
      `${path}: a folder, not a job file; \`kasane init job.yaml --data ${path}\` writes one that trains on it`,
    );
  if (kind === 'nothing')
    throw new KasaneError(
      'NO_INPUT',
      `${path}: there is no such file, and no such preset${suggest(path, Object.keys(jobPresets))}`,
    );
  try {
    const text = decodeText(readRegularSync(path, JOB_FILE_BYTES), path);
    if (!text.includes('\0')) return text;
    throw new Error(`${path}: it has NUL characters: it is UTF-16, or no text. Save the file as UTF-8`);
  } catch (error) {
    // An option of a job can not say how the job itself is written.
    throw refuse(messageOf(error).replace(/, or set data\.encoding: .*$/, ''), error);
  }
}

function withOverrides(spec: JobSpec, options: TrainOptions): JobSpec {
  const training = { ...spec.training, ...trainingOverrides(options) };
  const data = options.data === undefined ? spec.data : { ...spec.data, path: options.data };
  return checkJob(fromHere({ ...spec, training, data } as JobSpec), () => 'command line').spec;
}

/** Places in a job file are meant from here; the coordinator may have another working directory. URLs stay. */
export function fromHere(spec: JobSpec): JobSpec {
  const { init } = spec;
  const places = ['path', 'test'].flatMap((name) => {
    const place = (spec.data as Readonly<Record<string, unknown>>)[name];
    return typeof place === 'string' && !isUrl(place) ? [[name, resolve(place)]] : [];
  });
  const data = { ...spec.data, ...Object.fromEntries(places) } as JobSpec['data'];
  return { ...spec, data, ...(init !== undefined && { init: resolve(init) }) };
}

export interface FollowOptions {
  /** Folder in which progress is written down for TensorBoard. */
  readonly tensorboard?: string | undefined;
  /** Said when Ctrl-C ends this process while it looks; without it that is left to the caller. */
  readonly left?: string;
  /** Default: one of its own. */
  readonly view?: ProgressView;
}

/** Shows a job's progress until it ends. */
export async function follow(
  client: CoordinatorClient,
  id: string,
  { tensorboard, left, view = progressView() }: FollowOptions = {},
): Promise<JobMessage> {
  const recording = tensorboard === undefined ? undefined : recordJob(client, id, tensorboard);
  let last: JobMessage | undefined;
  const leave = () => {
    view.stop();
    err.lines(left ?? '');
    process.exit(128 + constants.signals.SIGINT);
  };
  if (left !== undefined) process.once('SIGINT', leave);
  try {
    for await (const job of client.watch(id)) {
      last = job;
      // Of a cluster that this process has just started that is no news.
      const starting = left === undefined && job.step === 0 && job.workers === 0;
      view.update(starting ? { ...job, waitingFor: '' } : job);
      recording?.update(job);
    }
  } finally {
    process.off('SIGINT', leave);
    view.stop();
    await recording?.close();
  }
  return last ?? client.get(id);
}

function report(job: JobMessage, spec: JobSpec, model: string, json: boolean): void {
  const { stopEarly } = spec.training;
  const metric = metricOf[spec.objective?.type ?? 'classification'];
  const last = stopEarly ? ranked(job.history, { stopEarly, metric })[0]! : job.history.at(-1)!;
  const seconds = (job.endedAt - job.startedAt) / 1000;
  // Over the whole training, the test at each epoch's end included; a short last batch counts as a whole one.
  const training = job.history.reduce((sum, epoch) => sum + epoch.seconds, 0);
  const samplesPerSecond = Number(((job.step * spec.training.batch) / training).toPrecision(4));
  const digest = createHash('sha256').update(readFileSync(model)).digest('hex');
  if (digest !== job.digest)
    throw new KasaneError(
      'FILE_DAMAGED',
      `${model}: its SHA-256 is not that of the weights that were trained`,
    );
  if (json) {
    const { id, step: steps, workers } = job;
    const { epoch: epochs, testLoss, testMetric } = last;
    const testAccuracy = metric === 'accuracy' ? testMetric : null;
    const record = {
      job: id,
      metric,
      testMetric,
      testAccuracy,
      testLoss,
      epochs,
      steps,
      seconds,
      samplesPerSecond,
      workers,
      digest,
      model,
    };
    out.lines(JSON.stringify(record));
    return;
  }
  out.lines(
    '',
    `Test ${metricName(job)} ${formatMetric(job, last.testMetric)} on the test set after ${count(last.epoch, 'epoch')} in ${took(seconds)}`,
    `Weights  ${model}`,
    `SHA-256  ${digest}`,
  );
}
