/** The content of a job file, typed: optional keys may be omitted. */
import type { jobSchema } from '@kasane/protocol/job';

export type JobFile = (typeof jobSchema)['_zod']['input'];
