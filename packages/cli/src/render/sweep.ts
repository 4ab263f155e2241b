/** Sweeps and their trials as people and programs see them: one function shapes the record, table and JSON follow it. */

import { type Sweep, type Trial, TrialState } from '@kasane/protocol/gen/kasane/v1/sweeps';
import { reasonRecord } from '@kasane/protocol/internal/job/job-record';
import { sweepStates } from '@kasane/protocol/internal/job/sweep-state';
import { testMetricNames, testMetricText } from '@kasane/tensor/internal/test-metrics';
import { percent } from './job.ts';
import { briefly, moment, table } from './table.ts';

const trialStates: Readonly<Record<TrialState, string>> = {
  [TrialState.TRIAL_STATE_UNSPECIFIED]: 'unknown',
  [TrialState.TRIAL_STATE_RUNNING]: 'running',
  [TrialState.TRIAL_STATE_PAUSED]: 'paused',
  [TrialState.TRIAL_STATE_SUCCEEDED]: 'succeeded',
  [TrialState.TRIAL_STATE_STOPPED]: 'stopped',
  [TrialState.TRIAL_STATE_FAILED]: 'failed',
  [TrialState.UNRECOGNIZED]: 'unknown',
};
/** Rows of a table on a terminal: nobody reads the worst of hundreds. */
const MOST_ROWS = 20;

type Compared = Pick<Sweep, 'objectives'>;

/** The metrics of a trial by their names, in the order of the sweep's; none while there are none. */
const metricsOf = ({ objectives }: Compared, { value, further }: Trial): readonly [string, number][] =>
  value === undefined ? [] : objectives.map(({ metric }, index) => [metric, [value, ...further][index]!]);

/** What `--json` prints of a trial. */
export const trialRecord = (
  sweep: Compared,
  trial: Trial,
  { number, job, state, assignment, parent, epochs, value, error, front } = trial,
) => ({
  trial: number,
  job: job || null,
  state: trialStates[state],
  parent: parent || null,
  values: JSON.parse(assignment) as Readonly<Record<string, unknown>>,
  epochs,
  value: value ?? null,
  metrics: Object.fromEntries(metricsOf(sweep, trial)),
  front,
  error: error || null,
});

/** What `--json` prints of a sweep. Times are ISO 8601 or null. */
export function sweepRecord(sweep: Sweep) {
  const time = (ms: number) => (ms > 0 ? new Date(ms).toISOString() : null);
  return {
    sweep: sweep.id,
    name: sweep.name,
    state: sweepStates[sweep.state],
    error: sweep.error || null,
    waitingFor: sweep.waitingFor?.text ?? null,
    waitingReason: reasonRecord(sweep.waitingFor),
    metric: sweep.metric,
    minimize: sweep.minimize,
    objectives: sweep.objectives,
    epochs: sweep.epochs,
    trials: sweep.trials,
    trialsLimit: sweep.trialsLimit,
    running: sweep.running,
    paused: sweep.paused,
    succeeded: sweep.succeeded,
    stopped: sweep.stopped,
    failed: sweep.failed,
    submittedAt: time(sweep.submittedAt),
    endedAt: time(sweep.endedAt),
    best: sweep.best ? trialRecord(sweep, sweep.best) : null,
    front: sweep.front,
  };
}

/** The same of a sweep with its trials. */
export const rankingRecord = (sweep: Sweep, trials: readonly Trial[]) => ({
  ...sweepRecord(sweep),
  ranking: ranked(sweep, trials).map((trial) => trialRecord(sweep, trial)),
});

/** Best first: those on the front, those that got furthest, then by value, then by number; those without a value and those that failed at last. */
function ranked({ minimize }: Pick<Sweep, 'minimize'>, trials: readonly Trial[]): Trial[] {
  const sign = minimize ? 1 : -1;
  const group = ({ state, value }: Trial) =>
    state === TrialState.TRIAL_STATE_FAILED ? 2 : value === undefined ? 1 : 0;
  const cost = ({ value = 0 }: Trial) => sign * value;
  return [...trials].sort(
    (a, b) =>
      Number(b.front) - Number(a.front) ||
      group(a) - group(b) ||
      b.epochs - a.epochs ||
      cost(a) - cost(b) ||
      a.number - b.number,
  );
}

/** The trials on the Pareto front, best in the first metric first. */
export const frontOf = (sweep: Sweep, trials: readonly Trial[]): readonly Trial[] =>
  ranked(sweep, trials).filter(({ front }) => front);

/** The metric of a sweep, for people: accuracy is a percentage. */
export function valueText({ metric }: Pick<Sweep, 'metric'>, value: number | undefined): string {
  if (value === undefined) return '-';
  if (metric === 'parameters' || metric === 'flops') return value.toLocaleString('en');
  if (metric === 'testAccuracy') return percent(value);
  const further = testMetricNames.find((name) => name === metric);
  return further ? testMetricText(further, value) : value.toPrecision(4);
}

/** test accuracy, test loss, test error. */
export const metricWords = ({ metric }: Pick<Sweep, 'metric'>): string =>
  metric === 'flops' ? 'FLOPs' : metric.replace(/[A-Z]/, (letter) => ` ${letter.toLowerCase()}`);

/** All metrics of a trial: test accuracy 98.23 %, parameters 12,345. */
export const metricsText = (sweep: Compared, trial: Trial): string =>
  metricsOf(sweep, trial)
    .map(([metric, value]) => `${metricWords({ metric })} ${valueText({ metric }, value)}`)
    .join(', ');

/** training.learningRate 0.01, training.batch 64 */
export const valuesText = ({ assignment }: Pick<Trial, 'assignment'>): string =>
  Object.entries(JSON.parse(assignment) as object)
    .map(([path, value]) => `${path} ${briefly(value)}`)
    .join(', ');

/** Trials as a table, best first, and how many more there are. */
export function trialTable(sweep: Sweep, trials: readonly Trial[]): readonly string[] {
  const all = ranked(sweep, trials);
  const rows = all.slice(0, MOST_ROWS).map((trial) => ({ trial, values: trialRecord(sweep, trial).values }));
  const paths = [...new Set(rows.flatMap(({ values }) => Object.keys(values)))];
  const { objectives } = sweep;
  const hasFront = objectives.length > 1;
  const hasParents = rows.some(({ trial }) => trial.parent > 0);
  const head = [
    ...['TRIAL', ...(hasFront ? ['FRONT'] : []), ...(hasParents ? ['FROM'] : []), 'STATE', 'EPOCHS'],
    ...[...objectives.map((each) => metricWords(each).toUpperCase()), ...paths],
  ];
  const cells = rows.map(({ trial, values }) => [
    String(trial.number),
    ...(hasFront ? [trial.front ? '*' : ''] : []),
    ...(hasParents ? [trial.parent > 0 ? String(trial.parent) : '-'] : []),
    trialStates[trial.state],
    `${trial.epochs}/${sweep.epochs}`,
    ...objectives.map((each, index) => valueText(each, index === 0 ? trial.value : trial.further[index - 1])),
    ...paths.map((path) => briefly(values[path])),
  ]);
  const more = all.length - rows.length;
  return [...table(head, cells).split('\n'), ...(more > 0 ? [`and ${more} more`] : [])];
}

/** Sweeps as a table. */
export function sweepTable(sweeps: readonly Sweep[]): readonly string[] {
  const head = ['SWEEP', 'STATE', 'TRIALS', 'METRIC', 'BEST', 'SUBMITTED', 'WAITS FOR'];
  const rows = sweeps.map((sweep) => {
    const { state, submittedAt, waitingFor } = sweepRecord(sweep);
    return [
      sweep.id,
      state,
      `${sweep.trials}/${sweep.trialsLimit}`,
      sweep.objectives.map(({ metric }) => metric).join(', '),
      sweep.front > 0 ? `front of ${sweep.front}` : valueText(sweep, sweep.best?.value),
      submittedAt ? moment(submittedAt) : '-',
      waitingFor ?? '',
    ];
  });
  return table(head, rows).split('\n');
}
