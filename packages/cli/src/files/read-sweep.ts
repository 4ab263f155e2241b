/** Sweep files as they are named on the command line. */
import { KasaneError } from '@kasane/protocol/errors';
import type { Sweep } from '@kasane/protocol/internal/job/job-search';
import { jobPresets } from '@kasane/protocol/internal/job/presets';
import { openingOf, placedChoices, placesOf, readJobText, whereOf, withPlaces } from './read-job.ts';
import { isProgram, readProgram } from './read-program.ts';

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
  const file = await import('@kasane/protocol/job-file');
  const opening = openingOf(path, file);
  const { base, search, ...sweep } = isProgram(path)
    ? file.parseSweepFile(JSON.stringify(await readProgram(path)), path)
    : file.parseSweepFile(readJobText(path), whereOf(path), opening);
  const placeOf = placesOf(path);
  const parameters = placedChoices(search.parameters, placeOf);
  return { ...sweep, search: { ...search, parameters }, base: withPlaces(base, placeOf) };
}

/** The text that a coordinator takes. */
export const textOfSweep = ({ base, search }: Sweep): string => JSON.stringify({ ...base, search });
