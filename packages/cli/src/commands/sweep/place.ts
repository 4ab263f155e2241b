/** Where the best trial of a sweep goes: its weights, and beside them its job file. Loads nothing heavy. */
import { existsSync } from 'node:fs';
import { join, parse, resolve } from 'node:path';
import type { Sweep } from '@kasane/protocol/internal/job/job-search';
import { requireWritable } from '../../files/output-file.ts';
import { versionOf } from '../../files/write-file.ts';

export interface SweepPlace {
  readonly out: string;
  /** What was there before the sweep. */
  readonly version: string;
  /** Whether weights of an earlier one are there, in a place that nobody has named. */
  readonly replaces: boolean;
}

/** Said before an hour of trials, not after it. @throws KasaneError USAGE */
export function placeOf({ name }: Sweep, asked?: string): SweepPlace {
  const out = resolve(asked ?? join('.kasane', `${name}.safetensors`));
  requireWritable(out);
  return { out, version: versionOf(out), replaces: asked === undefined && existsSync(out) };
}

/** The job file beside weights: photos.safetensors has photos.job.json. */
export function jobFileBeside(weights: string): string {
  const { dir, name } = parse(weights);
  return join(dir, `${name}.job.json`);
}
