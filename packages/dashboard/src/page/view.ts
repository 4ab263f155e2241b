/** What every view is: an element that is told when something has changed, and draws itself at most once a frame. */
import type { StatusResponse } from '@kasane/protocol/gen/kasane/v1/cluster';
import type { Event, Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { Sweep, Trial } from '@kasane/protocol/gen/kasane/v1/sweeps';
import type { MetricsHistory } from './metrics-history.ts';
import type { Language, Words } from './text.ts';

export interface SweepWithTrials {
  readonly sweep: Sweep;
  readonly trials: readonly Trial[];
}
/** Columns to values. */
export type RunResults = Readonly<Record<string, unknown>>;

/** What the page knows. */
export interface Known {
  /** Newest first; undefined while nothing has come. */
  readonly jobs: readonly Job[] | undefined;
  readonly cluster: StatusResponse | undefined;
  /** Of the job whose metrics history is followed. */
  readonly metrics: MetricsHistory;
  /** What has happened to it, oldest first. */
  readonly events: readonly Event[];
  /** Sweeps, newest first; undefined while nothing has come. */
  readonly sweeps: readonly Sweep[] | undefined;
  /** The sweep that is followed, with its trials in the order of their numbers. */
  readonly sweep: SweepWithTrials | undefined;
  /** Results of jobs that have changed since the page was opened. */
  readonly changed: ReadonlyMap<string, RunResults>;
  /** Jobs that have been deleted since then. */
  readonly gone: ReadonlySet<string>;
  /** That job, or that sweep, */
  readonly followed: string;
  /** and whether it does not exist. */
  readonly isMissing: boolean;
}

export interface View {
  readonly element: HTMLElement;
  /** Something that is known has changed. Called at most once a frame, and only while the view is shown. */
  update(known: Known): void;
  destroy(): void;
}

/** What views need besides. */
export interface Page {
  readonly t: Words;
  readonly language: Language;
  /** Shows an error of the server until the next one, or until it is taken away. */
  readonly fail: (error: unknown) => void;
}

/** Words of one view alone, beside it. What several say is in text.ts and text-ja.ts. */
export const ownWords = <W>({ language }: Pick<Page, 'language'>, words: Readonly<Record<Language, W>>): W =>
  words[language];

/** Runs what may fail, and shows how it failed. */
export const attempt = (page: Page, body: () => Promise<unknown>): void => {
  body().catch((error: unknown) => page.fail(error));
};
