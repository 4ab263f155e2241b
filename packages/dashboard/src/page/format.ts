/** Numbers and states as the page writes them. */
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { percentText } from '@kasane/tensor/internal/percent';

export const QUEUED = 1;
export const RUNNING = 2;
export const SUCCEEDED = 3;
export const FAILED = 4;
export const PAUSED = 6;

const METRIC_ERROR = 2;

/** It runs, but makes no progress. */
export const isStalled = ({ state, stalledMs }: Pick<Job, 'state' | 'stalledMs'>): boolean =>
  state === RUNNING && stalledMs > 0;

/** Nothing more will happen to it by itself. */
export const hasEnded = (state: number): boolean => state >= SUCCEEDED && state < PAUSED;

/** Names of states in records, by number; also their classes in the style sheet. */
export const stateNames = ['', 'queued', 'running', 'succeeded', 'failed', 'cancelled', 'paused'];

export const percent = percentText;
export const wholePercent = (fraction: number): string => `${Math.round(100 * fraction)} %`;
/** A part far below 1, to the next power of ten: 1/10,000. */
export const part = (fraction: number): string =>
  fraction > 0 ? `1/${grouped(10 ** Math.min(15, Math.round(-Math.log10(fraction))))}` : '0';
/** Whether a job's metric is an error, not a fraction of 1. */
export const isError = ({ metricKind }: Pick<Job, 'metricKind'>): boolean => metricKind === METRIC_ERROR;
/** The value of a job's metric. */
export const metric = (job: Pick<Job, 'metricKind'>, value: number | undefined): string =>
  value === undefined ? UNKNOWN : isError(job) ? value.toPrecision(4) : percent(value);
/** What is not known is no number. */
export const UNKNOWN = '–';
/** A value of a job file. */
export const setting = (value: unknown): string =>
  value === undefined ? UNKNOWN : typeof value === 'string' ? value : JSON.stringify(value);
/** A loss. */
export const loss = (value: number | undefined): string => value?.toFixed(4) ?? UNKNOWN;

const groups = new Intl.NumberFormat('en');
export const grouped = (count: number): string => groups.format(Math.round(count));

/** Three digits, whatever the size. */
export function small(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(1) : value.toPrecision(3);
}

/** A value of a chart, as short as it can be. */
export function brief(value: number): string {
  const size = Math.abs(value);
  if (size >= 1000 && size < 1e9) return grouped(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e9)) return value.toExponential(2).replace(/\.?0*e\+?/, 'e');
  return String(Number(value.toPrecision(4)));
}
/** The same of a fraction. */
export const briefPercent = (fraction: number): string => `${Number((100 * fraction).toPrecision(4))} %`;

const PREFIXES = ['', 'k', 'M', 'G', 'T'];
/** 1234567 as 1.23 M. */
export function short(value: number): string {
  const power = Math.min(PREFIXES.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, value)) / 3)));
  const scaled = value / 1000 ** power;
  return `${power === 0 ? Math.round(scaled) : scaled.toPrecision(3)} ${PREFIXES[power]}`.trim();
}
export const bytes = (value: number): string => `${short(value)}B`.replace(/(\d)B$/, '$1 B');

/** @param units of hours, minutes and seconds */
export function duration(seconds: number, units: readonly string[] = ['h', 'min', 's']): string {
  const [hour, minute, second] = units;
  const whole = Math.round(seconds);
  const [m, s] = [Math.floor(whole / 60), whole % 60];
  if (m >= 60) return `${Math.floor(m / 60)} ${hour} ${m % 60} ${minute}`;
  return m > 0 ? `${m} ${minute} ${s} ${second}` : `${s} ${second}`;
}

/** A time span that may be short. */
export const milliseconds = (ms: number): string =>
  ms >= 10_000
    ? duration(ms / 1000)
    : ms >= 1000
      ? `${(ms / 1000).toFixed(2)} s`
      : `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;

/** The same colour for the same name, apart from its neighbours'. */
export const hueOf = (index: number): number => (index * 137 + 215) % 360;
