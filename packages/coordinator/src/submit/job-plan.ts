/** What a job would do, for a check before it is queued. */
import type { CheckResponse } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { Job } from '@kasane/protocol/job';
import { RunPlan } from '../run/plan.ts';
import type { CheckedJob } from './job-checks.ts';

export function planOf(job: Job, { data, notes }: Pick<CheckedJob, 'data' | 'notes'>): CheckResponse {
  const { stepsPerEpoch, totalSteps: steps } = new RunPlan('', job, data);
  return {
    parameters: job.model.parameterCount,
    trainingSamples: data.train.samples,
    testSamples: data.test.samples,
    stepsPerEpoch,
    steps,
    notes: [...notes],
  };
}
