/** What every view is: an element that is told when something has changed, and draws itself at most once a frame. */
import type { StatusResponse } from '@kasane/protocol/gen/kasane/v1/cluster';
import type { Event, Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { MetricsHistory } from './metrics-history.ts';
import type { Language, Words } from './text.ts';

/** What the page knows. */
export interface Known {
  /** Newest first; undefined while nothing has come. */
  readonly jobs: readonly Job[] | undefined;
  readonly cluster: StatusResponse | undefined;
  /** Of the job whose metrics history is followed. */
  readonly metrics: MetricsHistory;
  /** What has happened to it, oldest first. */
  readonly events: readonly Event[];
  /** That job, */
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
