/** A registered model as people and programs see it: one function shapes the record, table and JSON follow it. */
import type { RegisteredModel } from '@kasane/protocol/client';
import type { EpochResult } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { ModelRecord, ModelVersion } from '@kasane/protocol/gen/kasane/v1/models';
import { printableLine } from '@kasane/protocol/internal/events/plain-text';
import { byteSize, count } from './count.ts';
import { formatMetric, metricName } from './job.ts';
import { moment, table } from './table.ts';
import { testMetricsLine } from './test-metrics.ts';

/** NAME:VERSION */
export const nameOf = ({ name, version }: Pick<ModelVersion, 'name' | 'version'>): string =>
  `${name}:${version}`;

const time = (ms: number) => new Date(ms).toISOString();

/** What `--json` prints of a version. */
export function versionRecord(model: ModelVersion) {
  const { aliases, job, digest, bytes, registeredAt, description } = model;
  return {
    model: nameOf(model),
    aliases,
    job,
    digest,
    bytes,
    registeredAt: time(registeredAt),
    description: description || null,
  };
}

/** Versions as a table. */
export function modelTable(models: readonly ModelVersion[]): string[] {
  const rows = models.map((model) => [
    nameOf(model),
    model.aliases.join(', '),
    model.job,
    byteSize(model.bytes),
    moment(time(model.registeredAt)),
    model.description.split('\n', 1)[0]!,
  ]);
  return table(['MODEL', 'ALIASES', 'JOB', 'SIZE', 'REGISTERED', 'DESCRIPTION'], rows).split('\n');
}

/** The epoch whose weights they are: the best one, if the job was to stop early. Undefined where none is known. */
export function epochOf({ job }: ModelRecord): EpochResult | undefined {
  const { training } = jobFileOf({ job }) as { readonly training?: { readonly stopEarly?: unknown } };
  return training?.stopEarly === undefined ? job?.history.at(-1) : (job?.best ?? job?.history.at(-1));
}

/** The job file with defaults. */
export const jobFileOf = ({ job }: Pick<ModelRecord, 'job'>): Readonly<Record<string, unknown>> =>
  JSON.parse(job?.spec || '{}') as Readonly<Record<string, unknown>>;

/** What `--json` prints of a version with what it came of. */
export function detailRecord({ model, record }: RegisteredModel) {
  const { job, data, source, parentDigest, parents, trainedBy, registeredBy } = record;
  const epoch = epochOf(record);
  return {
    ...versionRecord(model),
    metric: job?.metric ?? null,
    testMetric: epoch?.testMetric ?? null,
    testLoss: epoch?.testLoss ?? null,
    testMetrics: epoch?.testMetrics ?? {},
    epochs: job?.epoch ?? 0,
    steps: job?.step ?? 0,
    data: data ?? null,
    parentDigest: parentDigest || null,
    parents,
    source: source ?? null,
    trainedBy: trainedBy || null,
    registeredBy: registeredBy || null,
    jobFile: jobFileOf(record),
  };
}

/** The same for people. */
export function detailLines(found: RegisteredModel): string[] {
  const { model, record } = found;
  const { job, data, source } = record;
  const epoch = epochOf(record);
  const aliases = model.aliases.length > 0 ? ` (${model.aliases.join(', ')})` : '';
  const lines: readonly (readonly [string, string | undefined])[] = [
    ['Model', nameOf(model) + aliases],
    ['About', model.description || undefined],
    ['Registered', moment(time(model.registeredAt))],
    ['Job', model.job + (job?.sweep ? `, trial ${job.trial} of sweep ${job.sweep}` : '')],
    [
      'Test',
      job &&
        epoch &&
        `${metricName(job)} ${formatMetric(job, epoch.testMetric)}, loss ${epoch.testLoss.toFixed(4)}`,
    ],
    ['', testMetricsLine(epoch?.testMetrics)],
    ['Trained', job && `${count(job.epoch, 'epoch')}, ${count(job.step, 'step')}`],
    ['Data', data && `${dataText(data)}, digest ${data.digest}`],
    ['Began with', beginning(record)],
    ['Job file', source && sourceText(source)],
    ['Kasane', versionsText(record)],
    ['Size', byteSize(model.bytes)],
    ['SHA-256', model.digest],
  ];
  return lines.flatMap(([name, text]) =>
    text === undefined ? [] : `${name.padEnd(11)}${printableLine(text)}`,
  );
}

export const dataText = ({ trainingSamples, testSamples }: NonNullable<ModelRecord['data']>): string =>
  `${count(trainingSamples, 'training sample')}, ${count(testSamples, 'test sample')}`;

/** What the training began with. */
export function beginning({ parentDigest, parents }: ModelRecord): string {
  if (parentDigest === '') return 'random weights';
  const known = parents.length > 0 ? `${parents.join(', ')}, ` : 'a file, ';
  return `${known}SHA-256 ${parentDigest}`;
}

/** jobs/digits.yaml at 1a2b3c4d5e6f, with changes that were not committed; undefined where nothing is known. */
export function sourceText({
  file,
  revision,
  dirty,
}: NonNullable<ModelRecord['source']>): string | undefined {
  if (file === '') return undefined;
  if (revision === '') return `${file}, in no Git repository`;
  return `${file} at commit ${revision.slice(0, 12)}${dirty ? ', with changes that were not committed' : ''}`;
}

/** Which Kasane made it. */
export function versionsText({ trainedBy, registeredBy, source }: ModelRecord): string {
  const by = source?.kasane ? `, submitted by ${source.kasane}` : '';
  return `trained by ${trainedBy || 'an earlier version'}${by}, registered by ${registeredBy}`;
}
