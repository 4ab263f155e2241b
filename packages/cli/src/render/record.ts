/** A job as the command line shows it. One record, from which tables, lines and JSON are made. */
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';

const states: Readonly<Record<JobState, string>> = {
  [JobState.JOB_STATE_UNSPECIFIED]: 'unknown',
  [JobState.JOB_STATE_QUEUED]: 'queued',
  [JobState.JOB_STATE_RUNNING]: 'running',
  [JobState.JOB_STATE_SUCCEEDED]: 'succeeded',
  [JobState.JOB_STATE_FAILED]: 'failed',
  [JobState.JOB_STATE_CANCELLED]: 'cancelled',
  [JobState.UNRECOGNIZED]: 'unknown',
};

export interface JobRecord {
  readonly job: string;
  readonly name: string;
  readonly state: string;
  readonly error: string;
  readonly waitingFor: string;
  readonly epoch: number;
  readonly epochs: number;
  readonly step: number;
  /** 0 when the coordinator does not say. */
  readonly steps: number;
  readonly trainLoss: number;
  readonly trainAccuracy: number;
  /** After the last finished epoch; null before the first. */
  readonly testLoss: number | null;
  readonly testAccuracy: number | null;
  readonly samplesPerSecond: number;
  /** Since the job started; 0 before. */
  readonly seconds: number;
  readonly workers: number;
  readonly digest: string;
  readonly model: string;
}

/** @param now milliseconds since 1970, for jobs that still run */
export function recordOf(job: Job, now: number): JobRecord {
  const last = job.history.at(-1);
  const { name, error, waitingFor, epoch, epochs, step, steps, trainLoss, trainAccuracy } = job;
  const seconds = job.startedAt > 0 ? ((job.endedAt || now) - job.startedAt) / 1000 : 0;
  return {
    job: job.id,
    name,
    state: states[job.state] ?? 'unknown',
    error,
    waitingFor,
    epoch,
    epochs,
    step,
    steps,
    trainLoss,
    trainAccuracy,
    testLoss: last?.testLoss ?? null,
    testAccuracy: last?.testAccuracy ?? null,
    samplesPerSecond: Math.round(job.samplesPerSecond),
    seconds: round(Math.max(0, seconds), 3),
    workers: job.workers,
    digest: job.digest,
    model: job.model,
  };
}

/** Whether nothing more will happen to a job. */
export function hasEnded(job: Job): boolean {
  return job.state >= JobState.JOB_STATE_SUCCEEDED;
}

export const round = (value: number, digits: number) => Number(value.toFixed(digits));

export const percent = (fraction: number) => `${(100 * fraction).toFixed(2)} %`;

/** 75 -> '1:15', 3700 -> '1:01:40'. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return '-';
  const whole = Math.round(seconds);
  const pad = (value: number) => String(value).padStart(2, '0');
  const minutes = Math.floor(whole / 60) % 60;
  const hours = Math.floor(whole / 3600);
  return hours > 0 ? `${hours}:${pad(minutes)}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`;
}

/** Samples a second, short: '84,200/s'. */
export const rate = (perSecond: number) => `${Math.round(perSecond).toLocaleString('en')} samples/s`;
