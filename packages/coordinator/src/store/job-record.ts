/** What is known of a job for good, and how the rows of the database become it. */
import type { SQLInputValue, SQLOutputValue } from 'node:sqlite';
import type { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import type { EpochResult } from '@kasane/protocol/gen/kasane/v1/jobs';
import { finiteMetrics } from '@kasane/tensor/internal/tally';
import type { TestMetrics } from '@kasane/tensor/internal/test-metrics';
import type { Statement } from './state-writer.ts';

export interface JobRecord {
  readonly id: string;
  readonly name: string;
  /** The checked job file as JSON, defaults filled in. */
  readonly spec: string;
  readonly state: JobState;
  readonly error: string;
  readonly submittedAt: number;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly digest: string;
  readonly model: string;
  readonly workers: number;
  readonly step: number;
  /** Of the whole run; 0 until it is opened for the first time. */
  readonly steps: number;
  readonly priority: number;
  /** SHA-256 of the file of weights that it begins with; empty where it names none. */
  readonly init: string;
  /** The sweep that it is a trial of, and its number there; empty and 0 for others. */
  readonly sweep: string;
  readonly trial: number;
  /** Where its file came from: a Source of the protocol, JSON; empty where nobody said. */
  readonly source: string;
  /** What it was trained on (a DataIdentity, JSON), and the version of Kasane that trained it; empty while it has no weights. */
  readonly data: string;
  readonly trainedBy: string;
}

/** What a job is in a sweep. */
export interface TrialPlace {
  readonly sweep: string;
  readonly number: number;
  /** That it was to be started: written with it or not at all. */
  readonly decision: readonly Statement[];
}

export interface CheckpointRecord {
  readonly step: number;
  readonly path: string;
  readonly digest: string;
}

export type Row = Readonly<Record<string, SQLOutputValue>>;

/** Changes a job. */
export const setting = (id: string, set: string, ...values: readonly SQLInputValue[]): Statement => ({
  sql: `UPDATE jobs SET ${set} WHERE id = ?`,
  values: [...values, id],
});

/** Of a column that is text. */
export const text = (value: SQLOutputValue | undefined) => String(value);
/** Of a column that is a number. */
export const number = (value: SQLOutputValue | undefined) => Number(value);

/** @param model where its file of weights is; empty without one */
export function jobOfRow(row: Row, model: string): JobRecord {
  return {
    id: text(row.id),
    name: text(row.name),
    spec: text(row.spec),
    state: number(row.state) as JobState,
    error: text(row.error),
    submittedAt: number(row.submittedAt),
    startedAt: number(row.startedAt),
    endedAt: number(row.endedAt),
    digest: text(row.digest),
    model,
    workers: number(row.workers),
    step: number(row.step),
    steps: number(row.steps),
    init: text(row.init),
    sweep: text(row.sweep),
    trial: number(row.trial),
    source: text(row.source),
    data: text(row.data),
    trainedBy: text(row.trainedBy),
    priority: number(row.priority),
  };
}

/** A row of the table of epochs. */
export const epochOfRow = (row: Row): EpochResult => ({
  epoch: number(row.epoch),
  trainLoss: number(row.trainLoss),
  trainMetric: number(row.trainAccuracy),
  testLoss: number(row.testLoss),
  testMetric: number(row.testAccuracy),
  seconds: number(row.seconds),
  endedAt: number(row.endedAt),
  testMetrics: finiteMetrics(JSON.parse(text(row.testMetrics)) as TestMetrics),
});

export const epochInsertion = (
  job: string,
  { epoch, trainLoss, trainMetric, testLoss, testMetric, seconds, endedAt, testMetrics }: EpochResult,
): Statement => ({
  sql: 'INSERT OR REPLACE INTO epochs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
  values: [
    ...[job, epoch, trainLoss, trainMetric, testLoss, testMetric, seconds, endedAt],
    JSON.stringify(testMetrics),
  ],
});
