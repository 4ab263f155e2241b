/** What a sweep ends with: its trials, the weights and job files of the best, or of those on the front, and how to use them. */
import { basename, relative } from 'node:path';
import type { SweepWithTrials } from '@kasane/protocol/client';
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { Trial } from '@kasane/protocol/gen/kasane/v1/sweeps';
import { elapsedSeconds } from '@kasane/protocol/internal/job/elapsed';
import { jobOfTrial, type Sweep, timesHandedOn } from '@kasane/protocol/internal/job/job-search';
import type { Assignment } from '@kasane/protocol/internal/job/search-schema';
import { digestOf, jobFileBeside } from '../../files/output-file.ts';
import { writeFile } from '../../files/write-file.ts';
import { out } from '../../output/say.ts';
import { count, took } from '../../render/count.ts';
import { metricWords, rankingRecord, trialTable, valuesText, valueText } from '../../render/sweep.ts';
import { table } from '../../render/table.ts';

/** A trial that is kept. */
export interface Model {
  readonly trial: Trial;
  readonly job: Pick<Job, 'digest'>;
  /** Where its weights are. */
  readonly model: string;
  /** Where those of the trial are that it started from. */
  readonly init: string | undefined;
}

/**
 * @param sweep as it was submitted
 * @param models of the best trial, or of those on the front
 */
export function report(
  sweep: Sweep,
  { sweep: ended, trials }: SweepWithTrials,
  models: readonly Model[],
  json: boolean,
): void {
  const parentOf = (trial: number) => trials.find(({ number }) => number === trial)?.parent || undefined;
  const written = models.map(({ trial, job, model, init }) => {
    const digest = digestOf(model, job.digest);
    const jobFile = jobFileBeside(model);
    // A file by its name alone, so that the three can be moved.
    const start = init && { init: basename(init), times: timesHandedOn(trial.number, parentOf) };
    const content = jobOfTrial(sweep.base, JSON.parse(trial.assignment) as Assignment, start || undefined);
    writeFile(`${JSON.stringify(content, undefined, 2)}\n`, jobFile);
    return { trial: trial.number, digest, model, jobFile, init: init ?? null };
  });
  const { digest, model, jobFile, init } = written[0]!;
  if (json) {
    const first = { digest, model, jobFile, init };
    out.lines(JSON.stringify({ ...rankingRecord(ended, trials), ...first, models: written }));
    return;
  }
  const seconds = elapsedSeconds({ startedAt: ended.submittedAt, endedAt: ended.endedAt, history: [] });
  out.lines('', ...trialTable(ended, trials), '');
  const of = `of ${count(ended.trials, 'trial')} in ${took(seconds)}`;
  if (ended.front > 0) {
    const head = ['TRIAL', ...ended.objectives.map((each) => metricWords(each).toUpperCase()), 'WEIGHTS'];
    const rows = models.map(({ trial, model }) => [
      String(trial.number),
      ...[trial.value, ...trial.further].map((value, index) => valueText(ended.objectives[index]!, value)),
      fromHere(model),
    ]);
    out.lines(
      `Front ${of}: no other trial is better than ${models.length === 1 ? 'this one' : 'one of these'} in all metrics`,
      ...table(head, rows).split('\n'),
      '',
      'The job file of each is beside its weights. Use the weights, or train the job again, for example with other --epochs:',
      `  kasane predict ${fromHere(model)} INPUT`,
      `  kasane train ${fromHere(jobFile)}`,
    );
    return;
  }
  const best = ended.best!;
  out.lines(
    `Best ${of}: trial ${best.number}, ${metricWords(ended)} ${valueText(ended, best.value)} on the test set after ${count(best.epochs, 'epoch')}`,
    `Values   ${valuesText(best)}`,
    `Weights  ${model}`,
    `SHA-256  ${digest}`,
    `Job      ${jobFile}`,
    ...(init === null ? [] : [`Started  from the weights of trial ${best.parent}, in ${init}`]),
    '',
    'Use the weights, or train the job again, for example with other --epochs:',
    `  kasane predict ${fromHere(model)} INPUT`,
    `  kasane train ${fromHere(jobFile)}`,
  );
}

/** A path as it would be typed here. */
const fromHere = (path: string): string => {
  const short = relative('.', path);
  const place = short.startsWith('..') ? path : short;
  return /^[\w./-]+$/.test(place) ? place : `'${place}'`;
};
