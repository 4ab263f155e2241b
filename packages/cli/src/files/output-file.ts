/** The file of weights that `kasane train` and `kasane sweep` end with: asked for before the training, and written at its end without losing what was trained. */
import { createHash } from 'node:crypto';
import { accessSync, copyFileSync, existsSync, constants as fs, readFileSync, statSync } from 'node:fs';
import { dirname, join, parse, resolve } from 'node:path';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import type { Sweep } from '@kasane/protocol/internal/job/job-search';
import { handsOn, isMultiObjective } from '@kasane/protocol/internal/job/search-schema';
import { makeFolders } from '@kasane/tensor/internal/node/make-folders';
import { systemFailure } from '../process/system-errors.ts';
import { isOnePlace, requireReplaceable } from './replaced-file.ts';
import { putInPlace, versionOf } from './write-file.ts';

/** Why a file cannot be written, in words, without its path. */
export const whyUnwritable = (error: unknown): string => systemFailure(error)?.words ?? messageOf(error);

/** @param path as the user named it */
export const unwritable = (path: string, cause: unknown): KasaneError =>
  new KasaneError('USAGE', `${path} cannot be written: ${whyUnwritable(cause)}`, { cause });

/**
 * Said before an hour of training, not after it.
 * @param what is to be written there
 * @param option that names it
 * @throws KasaneError USAGE
 */
export function requireWritable(
  out: string,
  what: 'weights' | 'predictions' | 'confusion matrix' | 'model card' = 'weights',
  option = '--out',
): void {
  const refuse = (why: string) => new KasaneError('USAGE', `the ${what} cannot be written to ${out}: ${why}`);
  const there = statSync(out, { throwIfNoEntry: false });
  if (there?.isDirectory()) throw refuse(`it is a folder; set ${option} to a file in it`);
  if (there && !there.isFile()) throw refuse(`it is not a regular file; set ${option} to another name`);
  try {
    makeFolders(dirname(out));
    accessSync(dirname(out), fs.W_OK);
    if (there) accessSync(out, fs.W_OK);
  } catch (error) {
    throw refuse(`${whyUnwritable(error)}; set ${option} to another file`);
  }
  requireReplaceable(out, what, option);
}

/** Where a run's weights are to go. */
export interface WeightsPlace {
  readonly out: string;
  /** What was there before the run. */
  readonly version: string;
  /** Whether those of an earlier run are there, in a place that nobody has named. */
  readonly replaces: boolean;
}

/** @param name of the job or sweep @param asked by whoever started it @throws KasaneError USAGE where nothing can be written there */
export function weightsPlace(name: string, asked: string | undefined): WeightsPlace {
  const out = resolve(asked ?? join('.kasane', `${name}.safetensors`));
  requireWritable(out);
  return { out, version: versionOf(out), replaces: asked === undefined && existsSync(out) };
}

/** The job file beside weights: photos.safetensors has photos.job.json. */
export function jobFileBeside(weights: string): string {
  const { dir, name } = parse(weights);
  return join(dir, `${name}.job.json`);
}

/** The weights that a trial started from, beside its own: photos.init.safetensors beside photos.safetensors. */
export function startBeside(weights: string): string {
  const { dir, name, ext } = parse(weights);
  return join(dir, `${name}.init${ext || '.safetensors'}`);
}

/**
 * As `weightsPlace`, where job files go beside the weights, and what trials started from: neither must replace what the sweep needs.
 * @param file of the sweep
 */
export function sweepPlace(
  { name, search, base }: Sweep,
  asked: string | undefined,
  file: string,
): WeightsPlace {
  const place = weightsPlace(name, asked);
  // Of several metrics, those of trial 3 are photos-3.safetensors and photos-3.job.json.
  const several = isMultiObjective(search);
  const own = several ? file.replace(/-\d+(?=\.job\.json$)/i, '') : file;
  const isTrial = !several || own !== file;
  if (file !== '-' && isTrial && isOnePlace(jobFileBeside(place.out), own))
    throw new KasaneError(
      'USAGE',
      `the job file of a trial that is kept would replace ${file}; set --out to another name, or rename ${file}`,
    );
  if (!handsOn(search)) return place;
  const start = startBeside(place.out);
  if (!several) requireWritable(start);
  const { init } = base;
  if (
    typeof init === 'string' &&
    isOnePlace(start, several ? init.replace(/-\d+(?=\.init\.\w+$)/, '') : init)
  )
    throw new KasaneError(
      'USAGE',
      `the weights that a trial started from would replace ${init}, from which the sweep starts; set --out to another name`,
    );
  return place;
}

export const replacedNote = (out: string): string =>
  `Note: ${out} is from an earlier training and will be replaced; to keep it, set --out to another file`;

/** The SHA-256 of weights that were written. @param trained that of those that were trained @throws KasaneError FILE_DAMAGED */
export function digestOf(weights: string, trained: string): string {
  const digest = createHash('sha256').update(readFileSync(weights)).digest('hex');
  if (digest === trained) return digest;
  throw new KasaneError('FILE_DAMAGED', `${weights}: its SHA-256 does not match that of the trained weights`);
}

/** Where weights go, and what another run may have written there meanwhile. */
export interface Place {
  readonly out: string;
  /** What was there before the training. */
  readonly version: string;
  readonly say: (line: string) => void;
}

/**
 * Writes weights whole or not at all: to `out`, or to a new name beside it when another run has written there since `version` was taken.
 * @param write makes the file under another name
 * @returns where they are
 * @throws the system's error
 */
export function placeWeights({ out, version, say }: Place, write: (partial: string) => void): string {
  if (putInPlace(out, write, version)) return out;
  for (;;) {
    const beside = nameBeside(out);
    if (!putInPlace(beside, write, '')) continue;
    say(`Note: another run wrote ${out} during this training; the weights of this one go to ${beside}`);
    return beside;
  }
}

function nameBeside(out: string): string {
  const { dir, name, ext } = parse(out);
  let number = 2;
  while (existsSync(join(dir, `${name}-${number}${ext}`))) number++;
  return join(dir, `${name}-${number}${ext}`);
}

/**
 * Copies trained weights to where they were asked for, as `placeWeights` does.
 * @throws KasaneError CANNOT_WRITE, which says where they are instead, and how to get them from there
 */
export function deliver(weights: string, place: Place): string {
  const { out } = place;
  try {
    return placeWeights(place, (partial) => copyFileSync(weights, partial, fs.COPYFILE_EXCL));
  } catch (cause) {
    throw new KasaneError(
      'CANNOT_WRITE',
      `the weights cannot be written to ${out}: ${whyUnwritable(cause)}; they are in ${weights}: copy that file, or run \`kasane export ${weights} -o FILE\``,
      { cause },
    );
  }
}
