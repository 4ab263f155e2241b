/** Normalisation of image folders: as many numbers as the images have channels. */
import { KasaneError } from '../errors.ts';
import type { DataSpec } from './job-data.ts';

/** Of ImageNet's colours, the mean over the three: what a grey image is normalised by where the job does not say. */
const GREY = { mean: 0.449, std: 0.226 };

/**
 * The data section with defaults that fit its channels.
 * @param given the section as it was written
 * @param locate names the place of a key in messages
 * @throws KasaneError JOB_INVALID
 */
export function fitChannels(
  data: DataSpec,
  given: unknown,
  locate: (path: readonly PropertyKey[]) => string,
): DataSpec {
  if (data.format !== 'imagefolder') return data;
  const { channels } = data;
  const said = (given ?? {}) as Readonly<Record<string, unknown>>;
  const fit = (name: 'mean' | 'std') => {
    const value = said[name] === undefined && channels === 1 ? GREY[name] : data[name];
    if (typeof value === 'number' || value.length === 1 || value.length === channels) return value;
    const right = channels === 1 ? 'one number' : `one number, or ${channels}`;
    throw new KasaneError(
      'JOB_INVALID',
      `${locate(['data', name])}: data.${name}: ${value.length} numbers for images of ${channels} ${channels === 1 ? 'channel' : 'channels'}: expected ${right}`,
    );
  };
  const [mean, std] = [fit('mean'), fit('std')];
  const length = (value: number | number[]) => (typeof value === 'number' ? 1 : value.length);
  // One number is meant for all channels; with the other's default that is as good as three.
  const spread = (value: number | number[]): number | number[] =>
    length(value) === 1 && channels === 3 && length(mean) !== length(std)
      ? new Array<number>(3).fill(typeof value === 'number' ? value : value[0]!)
      : value;
  return { ...data, mean: spread(mean), std: spread(std) };
}
