/** A job as its file holds it, with types: what may be left out may be left out here. */
import type { jobSchema } from '@kasane/protocol/job';

export type JobFile = (typeof jobSchema)['_zod']['input'];
