/** The content of a sweep file, typed: a job file with what to vary. */
import type { searchSchema } from '@kasane/protocol/internal/job/search-schema';
import type { JobFile } from './job-file.ts';

export type SweepFile = JobFile & { readonly search: (typeof searchSchema)['_zod']['input'] };
