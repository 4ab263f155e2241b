/** What columns are called, and how their values are written. Keys of job files keep their names. */
import { brief, duration, percent, stateNames, UNKNOWN } from '../format.ts';
import { jobAddress } from '../route.ts';
import type { Words } from '../text.ts';
import { ownWords, type Page } from '../view.ts';
import type { TableColumn } from './data-table.ts';
import type { Column, TableData } from './table-data.ts';

/** Characters that are shown of a list or section, such as layers. */
const SHORT = 60;
/** Shown as percentages if the job's metric is an accuracy. */
const METRICS = new Set(['trainMetric', 'testMetric', 'bestMetric']);
const FRACTIONS = new Set(['trainAccuracy', 'testAccuracy', 'testMetrics.top5Accuracy']);
const LOSSES = new Set(['trainLoss', 'testLoss']);
const TIMES = new Set(['submittedAt', 'startedAt', 'endedAt']);

const english = {
  job: 'Job',
  trial: 'Trial',
  state: 'State',
  epochs: 'Epochs',
  bestEpoch: 'Best epoch',
  trainMetric: 'Training metric',
  testMetric: 'Test metric',
  bestMetric: 'Best metric',
  workers: 'Workers',
  description: 'Description',
  tags: 'Tags',
  parameters: 'Parameters',
  flops: 'FLOPs',
  front: 'Pareto front',
  parent: 'Weights from',
  stopped: 'stopped',
};
const japanese: typeof english = {
  job: 'ジョブ',
  trial: 'トライアル',
  state: '状態',
  epochs: 'エポック数',
  bestEpoch: '最良のエポック',
  trainMetric: '訓練の評価指標',
  testMetric: 'テストの評価指標',
  bestMetric: '最良の評価指標',
  workers: 'ワーカー数',
  description: '説明',
  tags: 'タグ',
  parameters: 'パラメーター数',
  flops: 'FLOPs',
  front: 'パレートフロント',
  parent: '重みの引き継ぎ元',
  stopped: '打ち切り',
};

export class Titles {
  readonly #page: Page;
  readonly #own: Readonly<Record<string, string>>;

  readonly #aliases: Readonly<Record<string, string>>;

  /** @param aliases keys that stand for others: the value of a trial is a metric of its job at one epoch */
  constructor(page: Page, aliases: Readonly<Record<string, string>> = {}) {
    this.#page = page;
    this.#aliases = aliases;
    this.#own = ownWords(page, { en: english, ja: japanese });
  }

  /** The key that this one stands for. */
  meant(key: string): string {
    return this.#aliases[key] ?? key;
  }

  of(asked: string): string {
    const { t } = this.#page;
    const key = this.meant(asked);
    const known: Partial<Record<string, string>> = {
      ...this.#own,
      epoch: t.epoch,
      trainLoss: t.trainLoss,
      testLoss: t.testLoss,
      trainAccuracy: t.trainAccuracy,
      testAccuracy: t.testAccuracy,
      testError: t.testError,
      seconds: t.took,
      submittedAt: t.submitted,
      samplesPerSecond: t.speed,
      priority: t.priority,
    };
    const metric = key.replace(/^testMetrics\./, '') as keyof Words['testMetrics'];
    return known[key] ?? t.testMetrics[metric] ?? key;
  }

  state(name: string): string {
    const index = stateNames.indexOf(name);
    return (index > 0 ? this.#page.t.states[index] : this.#own[name]) ?? name;
  }

  /** @param data whose row it is */
  text(asked: string, value: unknown, data: TableData, row: number): string {
    const key = this.meant(asked);
    if (value === null || value === undefined) return UNKNOWN;
    if (key === 'state') return this.state(String(value));
    if (TIMES.has(key)) return new Date(String(value)).toLocaleString(this.#page.language, SHORTLY);
    if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value.join(' ');
    if (typeof value === 'string') return value;
    if (typeof value !== 'number') return JSON.stringify(value).slice(0, SHORT);
    if (key === 'seconds')
      return value < 10 ? `${value.toFixed(1)} ${this.#page.t.units[2]}` : this.#duration(value);
    if (LOSSES.has(key)) return value.toFixed(4);
    const isFraction = METRICS.has(key) && data.value('testAccuracy', row) !== null;
    return isFraction || FRACTIONS.has(key) ? percent(value) : brief(value);
  }

  /** A value of no particular row, as short as possible: for an axis. */
  valueText(key: string, value: unknown, data: TableData): string {
    const values = data.columns.get(key)?.values ?? [];
    // A value between two others is written like them: a metric is of one kind in all rows.
    const same = values.indexOf(value);
    const row = same >= 0 ? same : values.findIndex((each) => each !== null);
    return this.text(key, value, data, Math.max(row, 0))
      .replace(/(\.\d*?)0+( %)?$/, '$1$2')
      .replace(/\.( %)?$/, '$1');
  }

  /** @param jobOf the job of a row, to which its name or number links */
  column(column: Column, data: TableData, jobOf: (row: number) => string): TableColumn {
    const { key, values, isNumber } = column;
    return {
      ...{ key, isNumber, title: this.of(key) },
      text: (row) => this.text(key, values[row], data, row),
      ...((key === 'job' || key === 'trial') && {
        href: (row) => (jobOf(row) ? jobAddress(jobOf(row)) : undefined),
      }),
      ...(key === 'state' && { style: (row) => String(values[row]) }),
    };
  }

  #duration(seconds: number): string {
    return duration(seconds, this.#page.t.units);
  }
}

const SHORTLY = { dateStyle: 'short', timeStyle: 'short' } as const;
