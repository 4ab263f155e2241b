/** Sweep files as they are named on the command line. */
import { KasaneError } from '@kasane/protocol/errors';
import type { Sweep } from '@kasane/protocol/internal/job/job-search';
import { jobPresets } from '@kasane/protocol/internal/job/presets';
import type { Json, ParameterSpec } from '@kasane/protocol/internal/job/search-schema';
import { type PlaceOf, placesOf, readJobText, withPlaces } from './read-job.ts';

/** Keys of a job whose values are paths. */
const places = new Set(['init', 'data.path', 'data.test']);

/**
 * A sweep file with absolute paths; `-` is standard input.
 * @throws KasaneError NO_INPUT, JOB_INVALID
 */
export async function readSweep(path: string): Promise<Sweep> {
  if (Object.hasOwn(jobPresets, path))
    throw new KasaneError(
      'JOB_INVALID',
      `${path} is a preset, which does not say what to vary; write a job file with \`model: { preset: ${path} }\` and a \`search\` section`,
    );
  const { parseSweepFile } = await import('@kasane/protocol/job-file');
  const where = path === '-' ? 'standard input' : path;
  const { base, search, ...sweep } = parseSweepFile(readJobText(path), where);
  const placeOf = placesOf(path);
  const parameters = Object.fromEntries(
    Object.entries(search.parameters).map(([key, parameter]): [string, ParameterSpec] =>
      places.has(key) && 'choices' in parameter
        ? [key, { ...parameter, choices: parameter.choices.map((choice) => whole(placeOf, key, choice)) }]
        : [key, parameter],
    ),
  );
  return { ...sweep, search: { ...search, parameters }, base: withPlaces(base, placeOf) };
}

const whole = (placeOf: PlaceOf, key: string, value: Json): Json =>
  typeof value === 'string' ? placeOf(key, value) : value;

/** The text that a coordinator takes. */
export const textOfSweep = ({ base, search }: Sweep): string => JSON.stringify({ ...base, search });
