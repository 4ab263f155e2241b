/** What `kasane top` shows, as lines: a pure function of what is known, what is chosen, and the terminal's size. */

import { diagnose, mayBeDead, type Trouble } from '@kasane/dashboard/internal/page/diagnose';
import { english } from '@kasane/dashboard/internal/page/text';
import { warningOf } from '@kasane/dashboard/internal/page/warning';
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { printableLine } from '@kasane/protocol/internal/events/plain-text';
import { hasEnded, stateNames } from '@kasane/protocol/job-state';
import { curve } from '../../render/braille.ts';
import { count } from '../../render/count.ts';
import { formatMetric, metricName } from '../../render/job.ts';
import { table } from '../../render/table.ts';
import { workerCells, workerHead } from '../../render/worker.ts';
import { wrapped } from '../../render/wrapped.ts';
import type { Snapshot } from './feed.ts';

export const views = ['curves', 'layers', 'workers'] as const;
export type View = (typeof views)[number];

export interface Choice {
  /** Id of the job that is looked at; of the first one when there is no such job. */
  readonly job: string;
  readonly view: View;
  readonly help: boolean;
  /** A job that is to be cancelled once that is confirmed. */
  readonly confirm: string;
  /** What came of the last key. */
  readonly said: string;
}

export interface Line {
  readonly text: string;
  readonly style?: 'bold' | 'dim' | 'inverse' | 'red';
}

/** Keys and what they do; the screen's last line and its help are made of it. */
export const keys = [
  ['up, down', 'select a job', ''],
  ['tab, 1 2 3', 'curves, layers, workers', 'view'],
  ['p', 'pause the job', 'pause'],
  ['r', 'resume it', 'resume'],
  ['c', 'cancel it; y confirms', 'cancel'],
  ['+ -', 'raise or lower its priority', ''],
  ['h, ?', 'show this help', 'help'],
  ['q', 'quit; jobs continue', 'quit'],
] as const;

/** The job that is looked at. */
export const chosenJob = ({ jobs }: Snapshot, { job }: Choice): Job | undefined =>
  jobs.find(({ id }) => id === job) ?? jobs[0];

export function screen(
  snapshot: Snapshot,
  choice: Choice,
  { columns, rows, coordinator }: { columns: number; rows: number; coordinator: string },
): Line[] {
  const { jobs, workers, version, problem } = snapshot;
  const open = jobs.filter(({ state }) => !hasEnded(state)).length;
  const slots = workers.reduce((sum, worker) => sum + worker.slots, 0);
  const head: Line[] = [
    {
      text: `Kasane ${version} at ${coordinator}   ${count(workers.length, 'worker')}, ${count(slots, 'slot')}   ${count(open, 'open job')}, ${jobs.length - open} ended`,
      style: 'bold',
    },
    ...(problem ? [{ text: problem, style: 'red' } as const] : []),
  ];
  const list = jobLines(snapshot, choice, Math.max(2, Math.floor(rows / 3)));
  const tabs: Line = {
    text: views
      .map((view, index) => (view === choice.view ? `[${index + 1} ${view}]` : ` ${index + 1} ${view} `))
      .join(' '),
    style: 'bold',
  };
  const foot: Line = choice.confirm
    ? { text: `cancel ${choice.confirm}? y for yes, any other key for no`, style: 'inverse' }
    : { text: choice.said || shortKeys(), style: choice.said ? 'bold' : 'dim' };
  const height = Math.max(1, rows - head.length - list.length - 2);
  const body = choice.help ? helpLines() : bodyLines(snapshot, choice, columns, height);
  const filled = Array.from({ length: height }, (_, row): Line => body[row] ?? { text: '' });
  return [...head, ...list, tabs, ...filled, foot].map(({ text, ...style }) => ({
    text: printableLine(text).slice(0, columns),
    ...style,
  }));
}

/** How to leave comes first: a narrow terminal cuts the rest. */
const shortKeys = () =>
  [...keys]
    .reverse()
    .flatMap(([key, , word]) => (word ? [`${key.split(',')[0]} ${word}`] : []))
    .join('   ');

const helpLines = (): Line[] => keys.map(([key, what]) => ({ text: `  ${key.padEnd(12)}${what}` }));

function jobLines(snapshot: Snapshot, choice: Choice, most: number): Line[] {
  const { jobs } = snapshot;
  if (jobs.length === 0) return [{ text: 'no jobs: kasane submit mnist-mlp', style: 'dim' }];
  const chosen = chosenJob(snapshot, choice)!;
  // The chosen one is always among those that are shown.
  const first = Math.max(0, Math.min(jobs.indexOf(chosen) - most + 2, jobs.length - most + 1));
  const shown = jobs.slice(first, first + most - 1);
  const rows = shown.map((job) => [
    job.id,
    stateNames[job.state],
    String(job.priority),
    `${job.epoch}/${job.epochs}`,
    job.steps > 0 ? `${Math.floor((100 * job.step) / job.steps)} %` : '',
    job.trainLoss?.toFixed(4) ?? '-',
    formatMetric(job, job.history.at(-1)?.testMetric),
    job.error || (job.waitingFor?.text ?? ''),
  ]);
  const head = ['JOB', 'STATE', 'PRIORITY', 'EPOCH', 'DONE', 'LOSS', 'TEST', 'WAITS FOR'];
  const lines = table(head, rows).split('\n');
  return lines.map((text, index): Line => {
    if (index === 0) return { text: `  ${text}`, style: 'dim' };
    return shown[index - 1] === chosen ? { text: `> ${text}`, style: 'inverse' } : { text: `  ${text}` };
  });
}

function bodyLines(snapshot: Snapshot, choice: Choice, columns: number, height: number): Line[] {
  if (choice.view === 'workers') return workerLines(snapshot);
  const job = chosenJob(snapshot, choice);
  if (!job) return [];
  return choice.view === 'layers'
    ? layerLines(snapshot, job, columns)
    : curveLines(snapshot, job, columns, height);
}

/** What a step of a job is. */
const stepName = ({ localSteps }: Job) => (localSteps > 1 ? `round (of ${localSteps} steps)` : 'step');

function curveLines({ points }: Snapshot, job: Job, columns: number, height: number): Line[] {
  if (points.length === 0) return [{ text: 'no steps yet', style: 'dim' }];
  const last = points.at(-1)!;
  const speed = `${Math.round(job.samplesPerSecond).toLocaleString('en')} samples/s`;
  const facts = `${job.id}   ${stepName(job)} ${job.step}   learning rate ${last.learningRate.toPrecision(3)}   ${speed}`;
  const width = Math.max(1, Math.floor((columns - 2) / 2));
  const graph = (name: string, values: readonly number[], show: (value: number) => string) => {
    const { lines, least, greatest } = curve(values, width, Math.max(1, height - 3));
    return [
      `${name} ${show(values.at(-1)!)}, from ${show(least)} to ${show(greatest)}`.slice(0, width),
      ...lines,
    ];
  };
  const loss = graph(
    'loss',
    points.map((point) => point.loss),
    (value) => value.toPrecision(4),
  );
  const metric = graph(
    metricName(job),
    points.map((point) => point.metric),
    (value) => formatMetric(job, value),
  );
  const steps = `steps ${points[0]!.step} to ${last.step}`;
  return [
    { text: facts },
    ...loss.map(
      (line, row): Line => ({
        text: `${line.padEnd(width)}  ${metric[row]!}`,
        ...(row === 0 && { style: 'bold' }),
      }),
    ),
    { text: `${steps.padEnd(width)}  ${steps}`, style: 'dim' },
  ];
}

/** In a few words what the page says in a sentence. */
const troubleNames: Readonly<Record<Trouble, string>> = {
  diverged: 'diverged',
  vanishing: 'vanishing gradient',
  exploding: 'exploding gradient',
  large: 'large updates',
  dead: 'dead units',
};

function layerLines({ layers, points, activations }: Snapshot, { localSteps }: Job, columns: number): Line[] {
  if (layers.length === 0) return [{ text: 'no layers yet', style: 'dim' }];
  const seen = new Map((points.at(-1)?.layers ?? []).map((metrics) => [metrics.layer, metrics]));
  const { troubles, finding } = diagnose(points, layers, activations, localSteps);
  const active = new Map(activations?.layers.map((one) => [one.layer, one]));
  const number = (value: number | undefined) => (value === undefined ? '' : value.toPrecision(3));
  const rows = layers.map(({ name, type, outputShape, parameters }) => {
    const metrics = seen.get(name);
    const { units = 0, deadUnits = 0 } = active.get(name) ?? {};
    const trouble = troubles.get(name);
    return [
      name,
      type,
      outputShape.join('x'),
      parameters > 0 ? parameters.toLocaleString('en') : '',
      number(metrics?.gradientNorm),
      number(metrics?.weightNorm),
      number(metrics?.updateRatio),
      units > 0 && mayBeDead(type) ? `${deadUnits}/${units}` : '',
      trouble ? troubleNames[trouble] : '',
    ];
  });
  const head = [
    'LAYER',
    'TYPE',
    'OUTPUT',
    'PARAMETERS',
    'GRADIENT',
    'WEIGHTS',
    'UPDATE/WEIGHT',
    'DEAD',
    'TROUBLE',
  ];
  const lines = styled(table(head, rows)).map((line, row): Line => {
    const layer = layers[row - 1];
    return layer && troubles.has(layer.name) ? { ...line, style: 'red' } : line;
  });
  const warning = finding ? wrapped(warningOf(english, finding), columns).split('\n') : [];
  return [...warning.map((text): Line => ({ text, style: 'bold' })), ...lines];
}

function workerLines({ workers }: Snapshot): Line[] {
  if (workers.length === 0)
    return [{ text: 'no workers are connected; start one with `kasane worker`', style: 'dim' }];
  return styled(table(workerHead, workers.map(workerCells)));
}

const styled = (text: string): Line[] =>
  text.split('\n').map((line, row): Line => (row === 0 ? { text: line, style: 'dim' } : { text: line }));
