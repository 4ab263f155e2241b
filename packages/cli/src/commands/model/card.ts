/** Model cards: Markdown about a registered model, made of what was recorded when it was registered. */
import type { RegisteredModel } from '@kasane/protocol/client';
import type { GetConfusionResponse } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { ModelRecord } from '@kasane/protocol/gen/kasane/v1/models';
import { printableLine } from '@kasane/protocol/internal/events/plain-text';
import { leafPaths, valueAtPath } from '@kasane/protocol/internal/job/job-diff';
import { checkJob, type Job } from '@kasane/protocol/job';
import { testMetricNames, testMetricText } from '@kasane/tensor/internal/test-metrics';
import { summarizeLayers } from '@kasane/tensor/nn/summary';
import { byteSize } from '../../render/count.ts';
import { formatMetric, percent } from '../../render/job.ts';
import {
  beginning,
  dataText,
  epochOf,
  jobFileOf,
  nameOf,
  sourceText,
  versionsText,
} from '../../render/model.ts';

/** Classes whose matrix still fits on a page; of more, only the scores of each. */
const MATRIX_CLASSES = 12;
/** Layers that are listed. */
const MOST_LAYERS = 200;
/** Keys of a data section that say where it is on one machine, or have no place on a card. */
const NOT_SHOWN = new Set(['path', 'test', 'route']);

/** Text in a cell, or in a line: nothing in it is Markdown. */
const plain = (text: string): string => printableLine(text).replace(/[\\`*_[\]<>|#~]/g, '\\$&');

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
function markdownTable(head: readonly string[], rows: readonly (readonly string[])[], numbers = 1): string[] {
  const rule = head.map((_, column) => (column < numbers ? '---' : '---:'));
  return [row(head), row(rule), ...rows.map(row)];
}
/** Of a name and a value each. */
const list = (rows: readonly (readonly [string, string | undefined])[]): string[] =>
  markdownTable(
    ['', ''],
    rows.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    2,
  );

/** The card of a version. */
export function modelCard(found: RegisteredModel): string {
  const { model, record } = found;
  const job = checkJob(jobFileOf(record));
  const about = [model.description, record.job?.description].flatMap((text) => (text ? [plain(text)] : []));
  const sections = [
    // By this it is known again where the next one takes its place.
    [
      '<!-- Kasane model card -->',
      '',
      `# ${plain(nameOf(model))}`,
      '',
      ...about.flatMap((text) => [text, '']),
    ],
    ...(model.aliases.length > 0 ? [[`Aliases: ${model.aliases.map(plain).join(', ')}`, '']] : []),
    ['## Results', '', ...results(record), ''],
    ...confusionLines(record.confusion),
    ['## Data', '', ...dataLines(record, job), ''],
    ['## Model', '', ...modelLines(job), ''],
    ['## Training', '', ...trainingLines(record, job), ''],
    ['## Origin', '', ...origin(found), ''],
    ['## Use', '', ...usage(found, job)],
  ];
  return `${sections.flat().join('\n')}\n`;
}

function results(record: ModelRecord): string[] {
  const { job } = record;
  const epoch = epochOf(record);
  if (!job || !epoch) return ['No test result was recorded.'];
  const others = testMetricNames.flatMap((name): [string, string][] => {
    const value = epoch.testMetrics?.[name];
    return value === undefined ? [] : [[name, testMetricText(name, value)]];
  });
  return list([
    [`test ${job.metric}`, formatMetric(job, epoch.testMetric)],
    ['test loss', epoch.testLoss.toFixed(4)],
    ...others,
    [`training ${job.metric}`, formatMetric(job, epoch.trainMetric)],
    ['epoch', `${epoch.epoch} of ${job.epoch}`],
  ]);
}

function confusionLines(confusion: GetConfusionResponse | undefined): string[][] {
  if (!confusion || confusion.classes.length === 0) return [];
  const { classes, counts, epoch } = confusion;
  const at = (actual: number, taken: number) => counts[actual * classes.length + taken]!;
  const names = classes.map(plain);
  const scores = names.map((name, index) => {
    const samples = classes.reduce((sum, _, taken) => sum + at(index, taken), 0);
    const predicted = classes.reduce((sum, _, actual) => sum + at(actual, index), 0);
    const part = (whole: number) => (whole === 0 ? '-' : percent(at(index, index) / whole));
    return [name, String(samples), part(predicted), part(samples)];
  });
  const matrix =
    classes.length > MATRIX_CLASSES
      ? []
      : [
          'Rows are the actual classes, columns what their samples were taken for:',
          '',
          ...markdownTable(
            ['', ...names],
            names.map((name, actual) => [name, ...names.map((_, taken) => String(at(actual, taken)))]),
          ),
          '',
        ];
  return [
    ['### Classes', '', `On the test data after epoch ${epoch}:`, ''],
    [...markdownTable(['class', 'samples', 'precision', 'recall'], scores), ''],
    matrix,
  ];
}

function dataLines({ data }: ModelRecord, { spec }: Job): string[] {
  const section: Readonly<Record<string, unknown>> = spec.data;
  const shown = leafPaths(section).filter((path) => !NOT_SHOWN.has(path.split('.')[0]!));
  return list([
    ['samples', data && dataText(data)],
    ['digest', data && `\`${data.digest}\``],
    ...settings(section, shown),
  ]);
}

function modelLines({ model, spec }: Job): string[] {
  const layers = summarizeLayers(model);
  const sum = (of: 'parameters' | 'flops') =>
    layers.reduce((total, layer) => total + layer[of], 0).toLocaleString('en');
  const preset = 'preset' in spec.model ? `Preset \`${String(spec.model.preset)}\`: ` : '';
  const rows = layers
    .slice(0, MOST_LAYERS)
    .map(({ name, type, outputShape, parameters }) => [
      plain(name),
      type,
      outputShape.join(' x '),
      parameters.toLocaleString('en'),
    ]);
  return [
    `${preset}${sum('parameters')} parameters, ${sum('flops')} floating-point operations per sample; input ${model.sampleShape.join(' x ')}, output ${model.outputShape.join(' x ')}.`,
    '',
    ...markdownTable(['layer', 'type', 'output', 'parameters'], rows, 3),
    ...(layers.length > MOST_LAYERS ? ['', `And ${layers.length - MOST_LAYERS} more layers.`] : []),
  ];
}

function trainingLines({ job }: ModelRecord, { spec, objective }: Job): string[] {
  const { training } = spec;
  return list([
    ['objective', objective.type],
    ['steps', job?.step.toLocaleString('en')],
    ...settings(training, leafPaths(training)),
  ]);
}

/** Keys of a section with their values. */
const settings = (section: Readonly<Record<string, unknown>>, paths: readonly string[]): [string, string][] =>
  paths.map((path) => {
    const value = valueAtPath(section, path);
    return [plain(path), plain(typeof value === 'string' ? value : JSON.stringify(value))];
  });

function origin({ model, record }: RegisteredModel): string[] {
  const { job, source } = record;
  const day = (ms: number | undefined) => (ms ? new Date(ms).toISOString().slice(0, 10) : undefined);
  return list([
    ['job', plain(model.job)],
    ['sweep', job?.sweep ? plain(`${job.sweep}, trial ${job.trial}`) : undefined],
    ['job file', source && sourceText(source) && plain(sourceText(source)!)],
    ['began with', plain(beginning(record))],
    ['trained', day(job?.endedAt)],
    ['registered', day(model.registeredAt)],
    ['Kasane', plain(versionsText(record))],
    ['weights', `${byteSize(model.bytes)}, SHA-256 \`${model.digest}\``],
  ]);
}

/** What `kasane predict` takes, by the format of the data. */
const inputs: Readonly<Record<string, string>> = {
  idx: 'image.png',
  images: 'image.jpg',
  csv: 'rows.csv',
  series: 'rows.csv',
  text: "'some text'",
};

function usage({ model }: RegisteredModel, { spec }: Job): string[] {
  const full = nameOf(model);
  const input = inputs[String(spec.data.format)] ?? 'INPUT';
  return [
    `    kasane predict ${full} ${input}`,
    `    kasane eval ${full}`,
    `    kasane export ${full} -o ${model.name}.onnx`,
    '',
    'To train further from these weights, write this line in a job file:',
    '',
    `    init: ${full}`,
  ];
}
