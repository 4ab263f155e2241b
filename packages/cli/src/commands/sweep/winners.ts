/** The trials that a sweep keeps: the best, or of several metrics those on the front, and where their weights go. */
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, parse } from 'node:path';
import type { CoordinatorClient, SweepWithTrials } from '@kasane/protocol/client';
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { Trial } from '@kasane/protocol/gen/kasane/v1/sweeps';
import type { Sweep } from '@kasane/protocol/internal/job/job-search';
import { isMultiObjective } from '@kasane/protocol/internal/job/search-schema';
import { replacedNote, startBeside, type WeightsPlace } from '../../files/output-file.ts';
import { versionOf } from '../../files/write-file.ts';
import { frontOf } from '../../render/sweep.ts';

export interface Winner {
  readonly trial: Trial;
  readonly job: Job;
  /** The job whose weights it started from, if it did from those of a trial. */
  readonly parent: Job | undefined;
}

/** @param ended a sweep that has succeeded */
export async function winnersOf(
  client: Pick<CoordinatorClient, 'get'>,
  { sweep, trials }: SweepWithTrials,
): Promise<readonly Winner[]> {
  const front = frontOf(sweep, trials);
  const winners: Winner[] = [];
  for (const trial of front.length > 0 ? front : [sweep.best!]) {
    const from = trials.find(({ number }) => number === trial.parent);
    const parent = from && (await client.get(from.job));
    winners.push({ trial, job: await client.get(trial.job), parent });
  }
  return winners;
}

/** Of trial 3 of several that are kept: photos-3.safetensors where one would be photos.safetensors. */
export function placeOfTrial(
  { out, version }: Pick<WeightsPlace, 'out' | 'version'>,
  { sweep }: SweepWithTrials,
  { number }: Trial,
): Pick<WeightsPlace, 'out' | 'version'> {
  if (sweep.objectives.length < 2) return { out, version };
  const { dir, name, ext } = parse(out);
  const own = join(dir, `${name}-${number}${ext}`);
  return { out: own, version: versionOf(own) };
}

/** Where the weights go that a trial started from, whose own are there. */
export function placeOfStart(model: string): Pick<WeightsPlace, 'out' | 'version'> {
  const out = startBeside(model);
  return { out, version: versionOf(out) };
}

/** What is said before a sweep that will replace weights of an earlier one; undefined where it will not. */
export function noteOfReplaced({ search }: Sweep, { out, replaces }: WeightsPlace): string | undefined {
  if (!isMultiObjective(search)) return replaces ? replacedNote(out) : undefined;
  const { name, ext } = parse(out);
  const folder = dirname(out);
  const isOfTrial = (file: string) =>
    file.startsWith(`${name}-`) &&
    file.endsWith(ext) &&
    /^\d+$/.test(file.slice(name.length + 1, -ext.length || undefined));
  const there = existsSync(folder) ? readdirSync(folder).find(isOfTrial) : undefined;
  return there && replacedNote(join(folder, there));
}
