/** `kasane eval`: loss and metrics of a trained model on the part of its data that is for testing. */

import { resolve } from 'node:path';
import { describeSamples } from '@kasane/coordinator/internal/submit/describe-job';
import { loadData } from '@kasane/coordinator/internal/submit/load-data';
import { type DataParts, readSamples, type TablePreparation } from '@kasane/data/dataset';
import { anywhere } from '@kasane/data/internal/files/access';
import { longAxes, shapeOfBytes } from '@kasane/data/internal/normalize';
import { isUrl } from '@kasane/data/internal/packed/remote';
import { looksPacked } from '@kasane/data/packed';
import type { ClientOptions } from '@kasane/protocol/client';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { metricKind } from '@kasane/protocol/internal/job/metric-kind';
import { checkJob, type Job } from '@kasane/protocol/job';
import { CONFUSION_CLASSES } from '@kasane/tensor/internal/test-metrics';
import { metricOf } from '@kasane/tensor/objective';
import { keyOfSeed } from '@kasane/tensor/random';
import { sampleReader } from '@kasane/worker/internal/samples/sample-reader';
import { requireWritable } from '../../files/output-file.ts';
import { writeFile } from '../../files/write-file.ts';
import { openSession } from '../../model/backend.ts';
import { loadTrained, type Trained } from '../../model/trained.ts';
import { err, out } from '../../output/say.ts';
import { count } from '../../render/count.ts';
import { formatMetric } from '../../render/job.ts';
import { unitOf } from '../../render/standardized.ts';
import { testMetricsLine } from '../../render/test-metrics.ts';
import { classTable, confusionCsv, TestReport } from './report.ts';

export interface EvalOptions extends ClientOptions {
  /** Where the data that it was trained on is. Default: where the job has it; a file does not know. */
  readonly data?: string;
  /** Where the test data is, if the job named it apart. Of a table, any rows with their targets: they are read as training read its own. */
  readonly test?: string;
  readonly json?: boolean;
  /** CSV file for the confusion matrix. */
  readonly confusion?: string;
}

/** Classes that a message lists. */
const NAMED = 10;
/** Samples that are computed at once. */
const BATCH = 100;

export async function evaluate(source: string, options: EvalOptions): Promise<void> {
  const trained = await loadTrained(source, options);
  if (options.confusion !== undefined) requireConfusion(source, trained, options.confusion);
  const prepared = options.test === undefined ? undefined : tableOf(trained);
  const given = prepared ? { data: options.test! } : options;
  const job = jobOf(source, trained, given);
  const data = await loadData(job, anywhere, { prepared }).catch((error: unknown) => {
    if (!trained.data || given.data !== undefined) throw error;
    const right = 'this is the path on the coordinator; give the path on this machine with --data';
    throw new KasaneError('DATA_INVALID', `${messageOf(error)} (${right})`, { cause: error });
  });
  if (prepared) err.lines(...(data.notes ?? []).map((note) => `Note: ${note}`));
  else checkPreparation(source, trained, data);
  const started = performance.now();
  const report = new TestReport(job, data.preparation, data.test.samples);
  const { lossSum, metricSum, counted } = await scores(trained, job, data, report);
  const more = report.record(lossSum / counted);
  const record = {
    samples: data.test.samples,
    counted,
    loss: lossSum / counted,
    metric: metricOf(job.objective),
    value: metricSum / counted,
    seconds: (performance.now() - started) / 1000,
    ...more,
  };
  const { samples, loss, metric, value, seconds } = record;
  const line =
    `Test ${metric} ${formatMetric({ metricKind: metricKind(metric) }, value)}${unitOf(data.preparation, value)}, loss ${loss.toFixed(4)} ` +
    `on ${count(samples, 'sample')} in ${seconds.toFixed(1)} s`;
  const classes = classTable(more, job.objective.type === 'binary' ? job.model.outputShape : undefined);
  const others = [
    testMetricsLine(more.metrics, (error) => unitOf(data.preparation, error)),
    ...(classes.length > 0 ? ['', ...classes] : []),
  ];
  out.lines(
    ...(options.json ? [JSON.stringify(record)] : [line, ...others.filter((other) => other !== undefined)]),
  );
  if (options.confusion === undefined) return;
  writeFile(confusionCsv(more), options.confusion);
  err.lines(`Confusion matrix written to ${options.confusion}`);
}

/** @throws KasaneError USAGE when the model has no confusion matrix, or the file for it cannot be written */
function requireConfusion(source: string, { model }: Trained, path: string): void {
  const { classes } = model.description;
  if (classes === undefined || classes > CONFUSION_CLASSES) {
    const what = classes === undefined ? 'is not a classifier' : `has ${classes} classes`;
    throw new KasaneError(
      'USAGE',
      `--confusion: ${source} ${what}; only classifiers of at most ${CONFUSION_CLASSES} classes have a confusion matrix`,
    );
  }
  requireWritable(path, 'confusion matrix', '--confusion');
}

/** How training has fitted the columns of its table, if it was one: other rows are encoded in the same way, and need no training data. */
function tableOf({ about, data, preparation }: Trained): TablePreparation | undefined {
  const { format } = (data ?? about.data ?? {}) as { readonly format?: unknown };
  return format === 'csv' ? preparation.table : undefined;
}

/** The job that trained the model, as far as evaluation goes: its data is where the options say, or where the job has it. */
function jobOf(
  source: string,
  { model, about, data: known }: Trained,
  { data, test }: Pick<EvalOptions, 'data' | 'test'>,
): Job {
  const section = (known ?? about.data ?? {}) as Readonly<Record<string, unknown>>;
  const format = String(section.format);
  if (test !== undefined && whole.has(format)) {
    const why =
      format === 'series'
        ? 'a series is tested on the end of the file that it was trained on: give that with --data. `kasane predict` forecasts from other rows'
        : `${format} data has no separate test data; give --data the path that the model was trained on`;
    throw new KasaneError('USAGE', `--test: ${why}`);
  }
  if (!known && data === undefined && section.format !== undefined && section.format !== 'idx') {
    throw new KasaneError('USAGE', `${source} was trained on ${format} data; give its path with --data`);
  }
  const place = data === undefined || isUrl(data) ? data : resolve(data);
  const spec = {
    name: 'evaluation',
    model: model.description,
    data: {
      ...(place !== undefined && looksPacked(place) ? packedAs(section) : section),
      ...(place !== undefined && { path: place }),
      ...(test !== undefined && { test: resolve(test) }),
    },
    ...(about.objective !== undefined && { objective: about.objective }),
    training: { seed: about.seed ?? 1 },
  };
  return checkJob(spec, (path) => (path.at(-1) === 'test' ? '--test' : source));
}

/** Formats of which the test data is a part of the whole. */
const whole = new Set(['idx', 'series', 'packed']);

/** Of what was packed since, only what decides how it is read. */
const packedAs = ({ maskRate }: Readonly<Record<string, unknown>>) => ({
  format: 'packed',
  ...(maskRate !== undefined && { maskRate }),
});

/** Data that is prepared in another way is other data: figures on it would mean nothing. */
function checkPreparation(source: string, { about, model }: Trained, { preparation, test }: DataParts): void {
  if (about.preparation === undefined) return;
  const trained = about.preparation as Readonly<Record<string, unknown>>;
  const found = JSON.parse(JSON.stringify(preparation)) as Readonly<Record<string, unknown>>;
  // Bytes of another layout are other samples, though a flat model takes them as well.
  const { shape } = test.input;
  const was = shapeOfBytes(model.sampleShape, trained.shape as readonly number[] | undefined);
  if (trained.mean !== undefined && !trained.image && longAxes(was).join() !== longAxes(shape).join())
    throw new KasaneError(
      'DATA_INVALID',
      `samples of the data are ${shape.join(' x ')}, but ${source} was trained with ${was.join(' x ')}; set --data to the data.path of the job`,
    );
  const names = [...new Set([...Object.keys(trained), ...Object.keys(found)])].filter(
    (name) => name !== 'shape',
  );
  const told = withoutNewBackground(withoutUnknownStep(found, trained), trained);
  const differs = names.find((name) => JSON.stringify(trained[name]) !== JSON.stringify(told[name]));
  if (differs === undefined) return;
  const listed = (names: unknown) => (names as readonly string[]).slice(0, NAMED).join(', ');
  const isListed = differs === 'classes' && Array.isArray(trained.classes) && Array.isArray(told.classes);
  const what = isListed ? `classes ${listed(told.classes)} instead of ${listed(trained.classes)}` : differs;
  const { format } = (about.data ?? {}) as { readonly format?: unknown };
  const right =
    format === 'series'
      ? 'set --data to the file that it was trained on, whose end is for testing. To forecast from other rows, use `kasane predict`'
      : whole.has(String(format))
        ? 'set --data to the data.path of the job'
        : 'set --data and --test to the data.path and data.test of the job';
  throw new KasaneError(
    'DATA_INVALID',
    `the data differs from what ${source} was trained with (${what}); ${right}`,
  );
}

/** Where no image of training was transparent, those of other data get the background that shows them, as in predictions. */
function withoutNewBackground(
  found: Readonly<Record<string, unknown>>,
  trained: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const [was, is] = [trained.image, found.image] as readonly (
    | Readonly<Record<string, unknown>>
    | undefined
  )[];
  if (!was || !is || was.background !== undefined || is.background === undefined) return found;
  const { background: _, ...image } = is;
  return { ...found, image };
}

/** Weights of earlier versions do not tell the step of a series: where they do not, that of the data is not compared. */
function withoutUnknownStep(
  found: Readonly<Record<string, unknown>>,
  trained: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const isKnown = (trained.series as { readonly step?: number } | undefined)?.step !== undefined;
  if (found.series === undefined || isKnown) return found;
  const { step: _, ...series } = found.series as { readonly step?: number };
  return { ...found, series };
}

/** Sums over the samples, in their order. */
async function scores({ model, parameters }: Trained, job: Job, data: DataParts, report: TestReport) {
  const { test } = data;
  const { seed } = job.spec.training;
  const { objective } = job;
  const sizes = [...new Set([Math.min(BATCH, test.samples), test.samples % BATCH])].filter(
    (size) => size > 0,
  );
  const requests = sizes.map((samples) => ({ mode: 'evaluate', samples, objective }) as const);
  const session = await openSession(model, requests);
  session.parameters.set(parameters);
  const reader = sampleReader(describeSamples(job, data), seed);
  const sums = { lossSum: 0, metricSum: 0, counted: 0 };
  for (let at = 0; at < test.samples; at += BATCH) {
    const ids = Uint32Array.from({ length: Math.min(BATCH, test.samples - at) }, (_, i) => at + i);
    const program = session.program(requests.find(({ samples }) => samples === ids.length)!);
    const { inputs, targets } = await readSamples(test, ids);
    const target = reader.read(inputs, targets, program.x, { kind: 'evaluate', epoch: 0, ids });
    const layout = session.layout.programs.find(({ samples }) => samples === ids.length)!;
    (layout.target === 'i32' ? program.labels : program.targets).set(target);
    program.sampleIds.set(program.sampleIds.length > 0 ? ids : []);
    program.key.set(program.key.length > 0 ? [...keyOfSeed(seed), 0, 0] : []);
    program.run();
    report.add(program.logits, target, ids.length);
    sums.lossSum += program.lossSum[0]!;
    sums.metricSum += program.metricSum[0]!;
    sums.counted += program.counted[0] ?? ids.length;
  }
  return sums;
}
