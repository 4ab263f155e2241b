/** The description of a job that workers get when it opens. */
import type { DataParts } from '@kasane/data/dataset';
import type { OpenedPack } from '@kasane/data/packed';
import type { JobOpened } from '@kasane/protocol/gen/kasane/v1/training';
import { exchangedOf, floatsOf, scheduleOf } from '@kasane/protocol/internal/job/job-exchange';
import type { SampleFormat } from '@kasane/protocol/internal/job/sample-format';
import { REISSUE_QUEUE, TASK_QUEUES } from '@kasane/protocol/internal/queue/queue';
import type { Job } from '@kasane/protocol/job';
import type { DataSpec } from '@kasane/protocol/job-data';
import type { Field } from '@kasane/tensor/internal/field';
import type { RunPlan } from '../run/plan.ts';
import type { RunOptions } from '../run/run-options.ts';

/** Identical for all workers; shared memory, which is offered to each separately, is not included. */
export function describeJob(
  { id, job, data, traceparent = '' }: Pick<RunOptions, 'id' | 'job' | 'data' | 'traceparent'>,
  plan: RunPlan,
): Omit<JobOpened, 'parametersMemory' | 'gradientsMemory' | 'taskKey'> {
  const { seed, math, memory, accumulate, ema, epochs, optimizer, clipNorm } = job.spec.training;
  const { every, optimizerState } = job.spec.exchange;
  return {
    job: id,
    model: JSON.stringify(job.model.description),
    math,
    memory,
    seed,
    queues: [...TASK_QUEUES],
    reissueQueue: REISSUE_QUEUE,
    trainSamples: plan.trainSamples,
    evaluateSamples: plan.evaluateSamples,
    parameterCount: floatsOf(exchangedOf(job)),
    samples: JSON.stringify(describeSamples(job, data)),
    objective: JSON.stringify(job.objective),
    accumulate,
    precision: job.spec.exchange.precision,
    averaged: ema !== undefined,
    traceparent,
    localSteps:
      every === 1
        ? undefined
        : {
            ...{ every, stepsPerEpoch: plan.localStepsPerEpoch, epochs, clipNorm },
            optimizer: JSON.stringify(optimizer),
            keepsState: optimizerState === 'average',
            schedule: JSON.stringify(scheduleOf(job.spec.training)),
          },
  };
}

const isPack = (data: DataParts): data is OpenedPack => 'digest' in data;

/** Where workers can read the samples themselves. */
function ownOf(spec: DataSpec, data: DataParts): SampleFormat['own'] {
  if (!('route' in spec) || spec.route === 'staged') return undefined;
  if (isPack(data)) return { format: 'packed', place: spec.path!, digest: data.digest };
  return { format: 'idx', place: spec.path, train: data.train.digest, test: data.test.digest };
}

/** Describes a job's samples for workers. */
export function describeSamples(job: Job, data: DataParts): SampleFormat {
  const { train, preparation } = data;
  const { data: spec } = job.spec;
  const { mean = 0, std = 1 } = preparation;
  const field = ({ dtype, shape }: Field) => ({ dtype, shape: [...shape] });
  const list = (value: number | readonly number[]) => (typeof value === 'number' ? [value] : [...value]);
  const steps = 'augment' in spec ? spec.augment : [];
  const mixup = steps.find((step) => step.type === 'mixup');
  const masked = preparation.text?.objective === 'masked-token' && 'maskRate' in spec;
  return {
    input: field(train.input),
    target: field(train.target),
    mean: list(mean),
    std: list(std),
    augment: steps.filter((step) => step.type !== 'mixup'),
    ...(mixup && { mixup: { alpha: mixup.alpha, classes: job.objective.type === 'classification' } }),
    own: ownOf(spec, data),
    ...(masked && { masking: { rate: spec.maskRate, vocabulary: train.classes! } }),
  };
}
