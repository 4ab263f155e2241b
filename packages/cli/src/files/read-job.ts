/** Jobs as they are named on the command line: a file, a preset, or standard input. */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { isUrl } from '@kasane/data/internal/packed/remote';
import { decodeText } from '@kasane/data/internal/text/decode-text';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { isFields } from '@kasane/protocol/internal/job/fields';
import { jobOfInit, modelName } from '@kasane/protocol/internal/job/model-name';
import { jobPresets } from '@kasane/protocol/internal/job/presets';
import { checkJob, type Job, type JobSpec, type TrainingSpec } from '@kasane/protocol/job';
import type { Opening, readLayer as readLayerOf } from '@kasane/protocol/job-file';
import { JOB_FILE_BYTES } from '@kasane/protocol/limits';
import { suggest } from '@kasane/tensor/internal/nn/nearest';
import { kindOfPath, readRegularSync } from '@kasane/tensor/internal/node/regular-file';
import { datasetAt } from '../commands/data/get/datasets.ts';
import { trainingOverrides } from '../program/options.ts';
import { isProgram, readProgram } from './read-program.ts';

const presetOf = (name: string) => (Object.hasOwn(jobPresets, name) ? jobPresets[name] : undefined);

/** What to call a file in messages. */
export const whereOf = (path: string): string => (path === '-' ? 'standard input' : path);

/** A job file, a program that exports a job, or a preset by its name; `-` is standard input. @throws KasaneError NO_INPUT, JOB_INVALID */
export async function readJob(jobOrPreset: string): Promise<Job> {
  return (await readJobAndPreset(jobOrPreset)).job;
}

/** The same, and the preset that it is, or extends. */
async function readJobAndPreset(jobOrPreset: string): Promise<{ job: Job; preset?: string | undefined }> {
  const preset = presetOf(jobOrPreset);
  if (preset) return { job: checkJob(preset), preset: jobOrPreset };
  if (isProgram(jobOrPreset)) return { job: checkJob(await readProgram(jobOrPreset), () => jobOrPreset) };
  const file = await import('@kasane/protocol/job-file');
  const opening = openingOf(jobOrPreset, file);
  const job = file.parseJobFile(readJobText(jobOrPreset), whereOf(jobOrPreset), opening);
  return { job, preset: opening.preset() };
}

/** Opens what a job file extends: presets by their names, and other files from its folder. Their paths become absolute. */
export function openingOf(
  path: string,
  { readLayer }: { readonly readLayer: typeof readLayerOf },
): Opening & { readonly preset: () => string | undefined } {
  let preset: string | undefined;
  const open: Opening['open'] = (name, from) => {
    const extended = presetOf(name);
    if (extended) {
      preset = name;
      return { id: name, value: placed(extended, placesOf(name)), lineOf: () => `preset ${name}` };
    }
    const id = placeFrom(from === '-' ? '' : dirname(from), name);
    const fromHere = relative('', id);
    const shown = fromHere.startsWith('..') ? id : fromHere;
    const layer = readLayer(readJobText(shown), shown, id);
    return { ...layer, value: placed(layer.value, placesOf(shown)) };
  };
  return { id: path === '-' ? path : resolve(path), open, preset: () => preset };
}

/** Options of the command line that take the place of the job's own. */
export type GivenOptions = Partial<TrainingSpec> & { readonly data?: string };

/**
 * A job file or preset with the options of the command line in the place of its own, and with absolute paths.
 * @throws KasaneError NO_INPUT, JOB_INVALID
 */
export async function jobOf(jobOrPreset: string, options: GivenOptions = {}): Promise<Job> {
  const {
    job: { spec: read },
    preset,
  } = await readJobAndPreset(jobOrPreset);
  const path = options.data === undefined ? undefined : placeFromHere(options.data);
  if (path === undefined && preset !== undefined && isDataOf(preset, read)) await bringPresetData(preset);
  const data = path === undefined ? read.data : ({ ...read.data, path } as JobSpec['data']);
  const given = withPlaces({ ...read, data }, placesOf(jobOrPreset));
  const training = { ...given.training, ...trainingOverrides(options) };
  return checkJob({ ...given, training }, () => 'command line');
}

/** Whether a job that extends a preset has its data. */
function isDataOf(preset: string, { data }: JobSpec): boolean {
  const [own, there] = [data, presetOf(preset)?.data].map((section) => (section as { path?: string })?.path);
  return own !== undefined && there !== undefined && resolve(own) === resolve(there);
}

/**
 * Sees to it that the data of a preset is there: what is small is written. A job file's data is not looked at.
 * @throws KasaneError NO_INPUT with the command that gets it, CANNOT_WRITE
 */
export async function bringPresetData(jobOrPreset: string): Promise<void> {
  const preset = presetOf(jobOrPreset);
  const { path } = (preset?.data ?? {}) as { path?: string };
  const dataset = path === undefined ? undefined : datasetAt(path);
  if (path === undefined || dataset === undefined || existsSync(path)) return;
  const { writeSmall } = await import('../commands/data/get/get.ts');
  if (writeSmall(dataset, path)) return;
  throw new KasaneError(
    'NO_INPUT',
    `preset ${jobOrPreset} trains on ${path}, which does not exist: download it with \`kasane data get ${dataset}\``,
  );
}

const TABLES = /\.(csv|tsv)$/i;
const IMAGES = /\.(jpe?g|png|webp|gif|avif|tiff?|bmp|heic)$/i;

/** The text of a job file; `-` is standard input. @throws KasaneError NO_INPUT, JOB_INVALID */
export function readJobText(path: string): string {
  const refuse = (why: string, cause?: unknown) => new KasaneError('JOB_INVALID', why, { cause });
  if (path === '-') return readFileSync(0, 'utf8');
  const kind = kindOfPath(path);
  if (kind === 'folder')
    throw refuse(
      `${path}: a folder, not a job file; create one for this data with \`kasane init job.yaml --data ${path}\``,
    );
  if (kind === 'nothing') {
    const isFileName = /\.(ya?ml|json)$/i.test(path);
    const what = isFileName
      ? 'file not found (`kasane init` creates job files)'
      : `no such file or preset${suggest(path, Object.keys(jobPresets))}`;
    throw new KasaneError('NO_INPUT', `${path}: ${what}`);
  }
  if (TABLES.test(path))
    throw refuse(
      `${path}: a table, not a job file; create one for it with \`kasane init job.yaml --data ${path}\``,
    );
  if (IMAGES.test(path))
    throw refuse(
      `${path}: an image, not a job file; create one for a folder of them with \`kasane init job.yaml --data FOLDER\``,
    );
  if (/\.[jt]sx$/i.test(path))
    throw refuse(`${path}: Node does not run files with JSX; rename it to ${path.replace(/x$/i, '')}`);
  if (path.endsWith('.safetensors'))
    throw refuse(
      `${path}: weights, not a job file; to start from them, write init: ${path} in a job file. \`kasane predict\` and \`kasane eval\` use them`,
    );
  try {
    const text = decodeText(readRegularSync(path, JOB_FILE_BYTES), path);
    if (!text.includes('\0')) return text;
    throw new Error(
      `${path}: it contains NUL characters: it is either UTF-16 or not text. Save the file as UTF-8`,
    );
  } catch (error) {
    throw refuse(messageOf(error), error);
  }
}

/** A path as a shell would take it: from the working directory, or below the user's home when it begins with `~/`. URLs stay. */
export const placeFromHere = (place: string): string => placeFrom('', place);

/** The same from a folder. */
function placeFrom(folder: string, place: string): string {
  if (isUrl(place)) return place;
  return resolve(folder, place === '~' || place.startsWith('~/') ? join(homedir(), place.slice(1)) : place);
}

/** Makes a path absolute. @throws KasaneError JOB_INVALID when nothing is there, but something is in the same place of the working directory */
export type PlaceOf = (key: string, place: string) => string;

/** How a job's paths become absolute: the coordinator has another working directory. Those of a job file are relative to its folder. */
export function placesOf(jobOrPreset: string): PlaceOf {
  const isFile = jobOrPreset !== '-' && !presetOf(jobOrPreset);
  const folder = isFile ? dirname(resolve(jobOrPreset)) : '';
  return (key, place) => {
    const [found, here] = [placeFrom(folder, place), placeFrom('', place)];
    if (found === here || isUrl(place) || existsSync(found) || !existsSync(here)) return found;
    throw new KasaneError(
      'JOB_INVALID',
      `${jobOrPreset}: ${key}: ${place} does not exist there; paths in a job file are relative to its folder: use ${relative(folder, here)}`,
    );
  };
}

/** A job whose paths are absolute, checked or as it was written. @throws KasaneError JOB_INVALID */
export function withPlaces<Written extends { readonly data?: unknown; readonly init?: unknown }>(
  job: Written,
  placeOf: PlaceOf,
): Written {
  const { data, init } = job;
  if (data !== undefined && !isFields(data)) return job;
  const places = ['path', 'test'].flatMap((name) => {
    const place = data?.[name];
    return typeof place === 'string' ? [[name, placeOf(`data.${name}`, place)]] : [];
  });
  return {
    ...job,
    ...(data && { data: { ...data, ...Object.fromEntries(places) } }),
    ...(typeof init === 'string' && { init: placeOfInit(init, placeOf) }),
  };
}

/** A registered model has no path, and a job's weights have none here. */
const placeOfInit = (init: string, placeOf: PlaceOf): string =>
  modelName(init) || jobOfInit(init) !== undefined ? init : placeOf('init', init);

/** What a file says, as it was written, with absolute paths; those that a sweep chooses from, too. @throws KasaneError JOB_INVALID */
function placed(value: unknown, placeOf: PlaceOf): unknown {
  if (!isFields(value)) return value;
  const { search } = value;
  const parameters = isFields(search) ? search.parameters : undefined;
  if (!isFields(search) || !isFields(parameters)) return withPlaces(value, placeOf);
  return {
    ...withPlaces(value, placeOf),
    search: { ...search, parameters: placedChoices(parameters, placeOf) },
  };
}

/** Keys of a job whose values are paths. */
const placeKeys = new Set(['init', 'data.path', 'data.test']);

/** Parameters of a sweep with absolute paths among what they choose from. @throws KasaneError JOB_INVALID */
export function placedChoices<Parameter>(
  parameters: Readonly<Record<string, Parameter>>,
  placeOf: PlaceOf,
): Record<string, Parameter> {
  const placedOf = (key: string, parameter: Parameter): Parameter => {
    const { choices } = (isFields(parameter) ? parameter : {}) as { choices?: unknown };
    if (!placeKeys.has(key) || !Array.isArray(choices)) return parameter;
    const whole = choices.map((choice: unknown) =>
      typeof choice !== 'string'
        ? choice
        : key === 'init'
          ? placeOfInit(choice, placeOf)
          : placeOf(key, choice),
    );
    return { ...parameter, choices: whole };
  };
  return Object.fromEntries(Object.entries(parameters).map(([key, each]) => [key, placedOf(key, each)]));
}
