/** The content of a job file, typed: optional keys may be omitted, and each layer and preset has its own options. */
import type { jobSchema } from '@kasane/protocol/job';
import type { PresetDescription } from '@kasane/tensor/models/presets';
import type { ModelDescription } from '@kasane/tensor/nn/model';

type Content = (typeof jobSchema)['_zod']['input'];

export type JobFile = Omit<Content, 'model'> & {
  readonly model: PresetDescription | Omit<ModelDescription, 'frozen'>;
};
