/** What `--set` says of data that is packed sample by sample, checked. Not of jobs: they name the packed folder. */

import { suggest } from '@kasane/tensor/internal/nn/nearest';
import { DataError } from '../dataset.ts';
import type { ArrayPaths } from './array-files.ts';

export type InputType = 'numbers' | 'pixels' | 'tokens' | 'image';
export type Task = 'classification' | 'regression' | 'tokens' | 'next-token';

export interface SampleOptions extends ArrayPaths {
  /** Column, array or ending of the input. */
  readonly input?: string | undefined;
  readonly inputType?: InputType | undefined;
  readonly task?: Task | undefined;
  /** Of images: the side in pixels, or height and width. */
  readonly size: readonly [height: number, width: number];
  readonly channels: 1 | 3;
  readonly fit: 'cover' | 'contain' | 'fill';
  readonly background?: 'black' | 'white' | undefined;
  readonly mean?: number | readonly number[] | undefined;
  readonly std?: number | readonly number[] | undefined;
  /** Of tokens: how many a sample has; shorter ones are filled up, longer ones cut. */
  readonly context?: number | undefined;
  readonly validation: number;
  readonly seed: number;
  readonly onDamaged: 'fail' | 'skip';
}

type Check = (value: unknown) => boolean;

const text: Check = (value) => typeof value === 'string' && value !== '';
const within =
  (least: number, most: number): Check =>
  (value) =>
    Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;
const oneOf =
  (...values: readonly unknown[]): Check =>
  (value) =>
    values.includes(value);
const isScale: Check = (value) =>
  [value].flat().every((each) => typeof each === 'number' && Number.isFinite(each)) &&
  [value].flat().length > 0;
const SIDE = 16_384;

const checks: Readonly<Record<keyof SampleOptions, readonly [check: Check, expected: string]>> = {
  path: [text, 'a path'],
  test: [text, 'a path'],
  target: [text, 'a name, or the .npy file with the targets'],
  testTarget: [text, 'the .npy file with the targets of the test part'],
  input: [text, 'a name'],
  inputType: [oneOf('numbers', 'pixels', 'tokens', 'image'), 'numbers, pixels, tokens or image'],
  task: [
    oneOf('classification', 'regression', 'tokens', 'next-token'),
    'classification, regression, tokens or next-token',
  ],
  size: [
    (value) =>
      within(1, SIDE)(value) || (Array.isArray(value) && value.length === 2 && value.every(within(1, SIDE))),
    'a whole number of pixels, such as 224, or [height,width]',
  ],
  channels: [oneOf(1, 3), '1 or 3'],
  fit: [oneOf('cover', 'contain', 'fill'), 'cover, contain or fill'],
  background: [oneOf('black', 'white'), 'black or white'],
  mean: [isScale, 'a number, or one per channel'],
  std: [isScale, 'a number, or one per channel'],
  context: [within(1, 65_536), 'a number of tokens'],
  validation: [(value) => typeof value === 'number' && value > 0 && value < 1, 'a number between 0 and 1'],
  seed: [within(0, Number.MAX_SAFE_INTEGER), 'a whole number'],
  onDamaged: [oneOf('fail', 'skip'), 'fail or skip'],
};

/** @throws DataError naming what is none of the options, or not as expected */
export function sampleOptions(given: Readonly<Record<string, unknown>>): SampleOptions {
  for (const [key, value] of Object.entries(given)) {
    if (!Object.hasOwn(checks, key)) {
      const names = Object.keys(checks).filter((name) => name !== 'path');
      throw new DataError(`--set ${key}: there is no such option${suggest(key, names)}`);
    }
    const [check, expected] = checks[key as keyof SampleOptions];
    if (!check(value))
      throw new DataError(`--set ${key}: it is ${JSON.stringify(value)}; expected ${expected}`);
  }
  const { size = 224 } = given as { readonly size?: number | readonly [number, number] };
  const defaults = { channels: 3, fit: 'cover', validation: 0.2, seed: 1, onDamaged: 'fail' } as const;
  return {
    ...defaults,
    ...(given as unknown as SampleOptions),
    size: typeof size === 'number' ? [size, size] : size,
  };
}
