/** The columns of jobs: fetched once, kept up to date from the event stream, and fetched again when there are new jobs. */
import type { RunColumns } from '@kasane/protocol/internal/job/runs';
import { type TestMetricName, testMetricForms } from '@kasane/tensor/internal/test-metrics';
import { runsOf } from '../remote.ts';
import { attempt, type Known, type Page, type RunResults } from '../view.ts';
import { type Column, unpacked } from './table-data.ts';

/** All columns are fetched again after this many milliseconds at the earliest. */
const AGAIN_MS = 2000;

/** Results that can be compared, in the order in which they are offered. */
const TARGETS = ['bestMetric', 'testMetric', 'testLoss', 'trainMetric', 'trainLoss', 'seconds'];

/** The results among these columns. */
export function resultKeys(columns: readonly Column[]): readonly string[] {
  const has = (key: string) => columns.some((column) => column.key === key && column.isNumber);
  const metrics = columns.flatMap(({ key }) => (key.startsWith('testMetrics.') ? [key] : []));
  return [...TARGETS.filter(has), ...metrics];
}

/** @param target one of the keys of results; of a job's metric, it goes by whether there are accuracies */
export function isHigherBetter(target: string, columns: readonly Column[]): boolean {
  if (/^(?:best|test|train)Metric$/.test(target))
    return columns.some(({ key, isNumber }) => key === 'testAccuracy' && isNumber);
  const [, name] = /^testMetrics\.(.*)$/.exec(target) ?? [];
  return testMetricForms[name as TestMetricName]?.better === 'higher';
}

export class Sources {
  /** Where the row of a job is. */
  jobs: ReadonlyMap<string, number> = new Map();
  columns: readonly Column[] = [];
  /** Keys in which the job files differ. */
  differing: readonly string[] = [];
  readonly #page: Page;
  readonly #sweep: string;
  readonly #onChange: () => void;
  #packed: RunColumns | undefined;
  #changed: ReadonlyMap<string, RunResults> = new Map();
  #isAsking = false;
  #askedAt = Number.NEGATIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  /** @param sweep whose trials these are; empty for all jobs */
  constructor(page: Page, sweep: string, onChange: () => void) {
    this.#page = page;
    this.#sweep = sweep;
    this.#onChange = onChange;
  }

  get isThere(): boolean {
    return this.#packed !== undefined;
  }

  /** @param expected jobs that should have a row; by default those that have changed */
  update({ changed }: Pick<Known, 'changed'>, expected?: readonly string[]): void {
    const isNew = changed !== this.#changed;
    this.#changed = changed;
    const wanted = expected ?? [...changed.keys()];
    if (!this.#packed || wanted.some((job) => !this.jobs.has(job))) this.#ask();
    else if (isNew) this.#unpack();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #ask(): void {
    if (this.#isAsking) return;
    this.#isAsking = true;
    this.#timer = setTimeout(
      () =>
        attempt(this.#page, async () => {
          try {
            this.#packed = await runsOf(this.#sweep);
          } finally {
            this.#askedAt = performance.now();
            this.#isAsking = false;
          }
          if (!this.#isClosed) this.#unpack();
        }),
      Math.max(0, this.#askedAt + AGAIN_MS - performance.now()),
    );
  }

  #unpack(): void {
    const packed = this.#packed!;
    this.jobs = new Map(packed.jobs.map((job, row) => [job, row]));
    this.columns = unpacked(packed, this.#changed);
    this.differing = packed.differing;
    this.#onChange();
  }
}
