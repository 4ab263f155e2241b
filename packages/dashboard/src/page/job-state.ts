/** How a job is, as its card and its page show it: its state, what holds it up, how fast it goes and how long it still takes. */

import type { EpochResult, Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { elapsedSeconds } from '@kasane/protocol/internal/job/elapsed';
import { type Child, h } from './dom.ts';
import {
  duration,
  grouped,
  isStalled,
  metric,
  PAUSED,
  QUEUED,
  RUNNING,
  stateNames,
  UNKNOWN,
} from './format.ts';
import type { Words } from './text.ts';

/** Epochs whose mean tells how long the others take. */
const RECENT = 5;

export function stateBadge(t: Words, job: Job): HTMLElement {
  const [name, text] = isStalled(job)
    ? ['stalled', t.stalled]
    : [stateNames[job.state] ?? '', t.states[job.state]];
  return h('span', { class: `state ${name}` }, text ?? '');
}

/** Why it does not go on; nothing where it does. What it waits for many times a second is not worth a word. */
export function reasonLine(t: Words, job: Job): Child {
  const why = job.waitingFor && t.said(job.waitingFor);
  if (isStalled(job))
    return h(
      'p',
      { class: 'stalled notice', role: 'status' },
      `⚠ ${t.stalledFor(duration(job.stalledMs / 1000, t.units))}${why ? `: ${why}` : ''}`,
    );
  const waits = job.state === QUEUED || job.state === PAUSED;
  return waits && why && h('p', { class: 'faint waits' }, `${t.waiting}: ${why}`);
}

/** Samples per second of a job that runs. */
export const speedText = (job: Job): string =>
  job.samplesPerSecond > 0 ? grouped(job.samplesPerSecond) : UNKNOWN;

/** The best metric so far, and its epoch. */
export const bestText = (t: Words, job: Job): string | undefined =>
  job.best && `${metric(job, job.best.testMetric)} (${t.inEpoch(job.best.epoch)})`;

/** How long a job that runs still takes. */
export function leftText(t: Words, job: Job): string {
  const seconds = job.state === RUNNING && !isStalled(job) ? secondsLeft(job) : undefined;
  return seconds === undefined ? UNKNOWN : duration(seconds, t.units);
}

/** By its last epochs, which tell of tests as well, or by what it has done so far. */
function secondsLeft(job: Job): number | undefined {
  const { steps, step, epochs, history } = job;
  if (steps === 0 || step === 0) return undefined;
  const recent = history.slice(-RECENT);
  const mean = recent.reduce((sum, { seconds }: EpochResult) => sum + seconds, 0) / recent.length;
  const each = recent.length > 0 ? (mean * epochs) / steps : elapsedSeconds(job) / step;
  return each > 0 ? each * (steps - step) : undefined;
}
