/** Sweeps and their trials in the words of the page: states, metrics and values. */
import type { Sweep } from '@kasane/protocol/gen/kasane/v1/sweeps';
import { h } from './dom.ts';
import { brief, grouped, percent, UNKNOWN } from './format.ts';
import { Titles } from './tables/titles.ts';
import type { Words } from './text.ts';
import { ownWords, type Page } from './view.ts';

export const SWEEP_RUNNING = 1;
/** Names of a sweep's states, and of a trial's, as records have them. */
export const sweepStates = ['', 'running', 'succeeded', 'failed', 'cancelled'];
export const trialStates = ['', 'running', 'paused', 'succeeded', 'stopped', 'failed'];

const english = {
  trials: 'Trials',
  best: 'Best',
  sweep: 'Sweep',
  metric: 'Metric',
  running: 'Running',
  noSweeps: 'No sweeps yet. Start one in a terminal:',
  noSuchSweep: (id: string) => `There is no sweep ${id}.`,
  allSweeps: 'Show all sweeps',
  bestTrial: 'Best trial',
  onFront: 'Trials on the Pareto front',
  front: (count: string) => `front of ${count}`,
  bestSoFar: 'Best so far',
  valuesOfTrials: 'Trials',
  byTrial: (metric: string) => `${metric} by trial`,
  stopped: 'stopped',
  cancelSure: (id: string) => `Cancel ${id} and its trials?`,
};
const japanese: typeof english = {
  trials: 'トライアル',
  best: '最良',
  sweep: 'スイープ',
  metric: '評価指標',
  running: '実行中',
  noSweeps: 'スイープはまだありません。ターミナルで次を実行すると始まります:',
  noSuchSweep: (id) => `スイープ ${id} はありません。`,
  allSweeps: 'すべてのスイープを表示',
  bestTrial: '最良のトライアル',
  onFront: 'パレートフロント上のトライアル',
  front: (count) => `フロント上に ${count} 件`,
  bestSoFar: 'それまでの最良',
  valuesOfTrials: 'トライアル',
  byTrial: (metric) => `トライアルごとの${metric}`,
  stopped: '打ち切り',
  cancelSure: (id) => `${id} とそのトライアルを中止しますか？`,
};
export type SweepWords = typeof english;
export const sweepWords = (page: Page): SweepWords => ownWords(page, { en: english, ja: japanese });

/** Metrics whose column has the same name; any other is one of `testMetrics`. */
const OWN = new Set(['testLoss', 'testAccuracy', 'testError', 'parameters', 'flops']);

/** The column of jobs that holds the metric. */
export const metricKey = (metric: string): string => (OWN.has(metric) ? metric : `testMetrics.${metric}`);

export const metricTitle = (page: Page, metric: string): string => new Titles(page).of(metricKey(metric));

/** Whether values of the metric are parts of a whole, shown as percentages. */
export const isFraction = (metric: string): boolean => metric === 'testAccuracy' || metric === 'top5Accuracy';

export function sweepValue(metric: string, value: number | undefined): string {
  if (value === undefined) return UNKNOWN;
  return isFraction(metric) ? percent(value) : brief(value);
}

export function sweepBadge(page: Page, { state }: Pick<Sweep, 'state'>): HTMLElement {
  const name = sweepStates[state] ?? '';
  return h('span', { class: `state ${name}` }, new Titles(page).state(name));
}

/** How many of the trials have been started: 5 / 20. */
export const trialsText = ({ trials, trialsLimit }: Pick<Sweep, 'trials' | 'trialsLimit'>): string =>
  `${grouped(trials)} / ${grouped(trialsLimit)}`;

/** What the sweep waits for, if it waits. */
export const waitsText = (t: Words, { waitingFor }: Pick<Sweep, 'waitingFor'>): string | undefined =>
  waitingFor && `${t.waiting}: ${t.said(waitingFor)}`;
