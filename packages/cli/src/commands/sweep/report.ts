/** What a sweep ends with: its trials, the weights and the job file of the best, and how to use them. */
import { join, parse, relative } from 'node:path';
import type { SweepWithTrials } from '@kasane/protocol/client';
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { elapsedSeconds } from '@kasane/protocol/internal/job/elapsed';
import { jobOfTrial, type Sweep } from '@kasane/protocol/internal/job/job-search';
import type { Assignment } from '@kasane/protocol/internal/job/search-schema';
import { digestOf } from '../../files/output-file.ts';
import { writeFile } from '../../files/write-file.ts';
import { out } from '../../output/say.ts';
import { count, took } from '../../render/count.ts';
import { metricWords, rankingRecord, trialTable, valuesText, valueText } from '../../render/sweep.ts';

/**
 * @param sweep as it was submitted
 * @param model where the weights of the best trial are
 * @param winner its job
 */
export function report(
  sweep: Sweep,
  { sweep: ended, trials }: SweepWithTrials,
  winner: Pick<Job, 'digest'>,
  model: string,
  json: boolean,
): void {
  const best = ended.best!;
  const digest = digestOf(model, winner.digest);
  const jobFile = jobFileBeside(model);
  const job = jobOfTrial(sweep.base, JSON.parse(best.assignment) as Assignment);
  writeFile(`${JSON.stringify(job, undefined, 2)}\n`, jobFile);
  if (json) {
    out.lines(JSON.stringify({ ...rankingRecord(ended, trials), digest, model, jobFile }));
    return;
  }
  const seconds = elapsedSeconds({ startedAt: ended.submittedAt, endedAt: ended.endedAt, history: [] });
  out.lines(
    '',
    ...trialTable(ended, trials),
    '',
    `Best of ${count(ended.trials, 'trial')} in ${took(seconds)}: trial ${best.number}, ${metricWords(ended)} ${valueText(ended, best.value)} on the test set after ${count(best.epochs, 'epoch')}`,
    `Values   ${valuesText(best)}`,
    `Weights  ${model}`,
    `SHA-256  ${digest}`,
    `Job      ${jobFile}`,
    '',
    'Use the weights, or train the job again, for example with other --epochs:',
    `  kasane predict ${fromHere(model)} INPUT`,
    `  kasane train ${fromHere(jobFile)}`,
  );
}

/** The job file beside weights: photos.safetensors has photos.job.json. */
function jobFileBeside(weights: string): string {
  const { dir, name } = parse(weights);
  return join(dir, `${name}.job.json`);
}

/** A path as it would be typed here. */
const fromHere = (path: string): string => {
  const short = relative('.', path);
  const place = short.startsWith('..') ? path : short;
  return /^[\w./-]+$/.test(place) ? place : `'${place}'`;
};
