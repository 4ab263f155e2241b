/** Whether a job can be trained as it says: what is looked at before it is queued, besides its data. */

import type { DataParts } from '@kasane/data/dataset';
import { KasaneError } from '@kasane/protocol/errors';
import { whyUnfit } from '@kasane/protocol/internal/job/fit';
import type { Job } from '@kasane/protocol/job';
import { counted } from '@kasane/tensor/internal/counted';
import { type Cuts, cutsOf, RunPlan, trainSizes } from '../run/plan.ts';
import { describeSamples } from './describe-job.ts';
import { checkMemory } from './memory.ts';

/** Steps are numbered by 32 bits. */
const MOST_STEPS = 2 ** 32 - 1;
/** How far a batch is looked for that would do. */
const TRIED = 512;

/**
 * How the epochs are cut. @throws KasaneError JOB_INVALID, LIMIT
 */
export function checkSteps(job: Job, data: DataParts): void {
  const plan = new RunPlan('', job, data);
  const { epochs } = job.spec.training;
  if (plan.totalSteps > MOST_STEPS)
    throw new KasaneError(
      'LIMIT',
      `training.epochs: ${counted(epochs, 'epoch')} of ${counted(plan.stepsPerEpoch, 'step')} are ${plan.totalSteps} steps; at most ${MOST_STEPS} are supported`,
    );
  checkParts(job, data, plan.trainSamples);
}

/**
 * The same, and whether there is memory for it.
 * @param backends what the workers compute with that are connected now
 * @param signal aborted when nobody waits for it any more
 * @throws KasaneError JOB_INVALID, LIMIT
 */
export async function checkTraining(
  job: Job,
  data: DataParts,
  backends: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  checkSteps(job, data);
  const plan = new RunPlan('', job, data);
  const onGpu = job.spec.training.math === 'fast' && !backends.every((name) => name.startsWith('wasm'));
  const known = job.spec.training.math === 'exact' || backends.length > 0;
  const mixed = describeSamples(job, data).mixup !== undefined;
  const samples = { train: plan.trainSamples, evaluate: plan.evaluateSamples };
  await checkMemory(job, samples, mixed, known && !onGpu, signal);
}

/** No part of a batch may be too small for the layers. */
function checkParts(job: Job, data: DataParts, trainSamples: readonly number[]): void {
  const { model, objective } = job;
  const format = describeSamples(job, data);
  const fits = (sizes: readonly number[]) => whyUnfit({ model, objective, format, trainSamples: sizes });
  const why = fits(trainSamples);
  if (why === undefined) return;
  const given = cutsOf(job.spec);
  const { batch, shards, accumulate, every } = given;
  const { replicas } = job.spec.exchange;
  const { samples } = data.train;
  const found = tried(given, samples).find((cuts) => fits(trainSizes(samples, cuts)) === undefined);
  const last = samples % batch;
  const how = `${samples} training samples in batches of ${batch}${last > 0 ? `, the last of ${last}` : ''}, ${every > 1 ? `rounds of ${every} steps, ${shards} replicas` : `${shards} shards`}${accumulate > 1 ? ` of ${accumulate} parts` : ''}`;
  const right = found
    ? Object.entries(found)
        .filter(([name, value]) => value !== given[name as keyof Cuts])
        .map(([name, value]) => {
          const isReplicas = name === 'shards' && replicas !== undefined;
          return isReplicas ? `exchange.replicas: ${value}` : `training.${name}: ${value}`;
        })
        .join(' and ')
    : 'more training samples';
  throw new KasaneError('JOB_INVALID', `training: ${why}: ${how}. Use ${right}`);
}

/** Other ways to cut an epoch, what changes least first. */
function tried({ batch, shards, accumulate, every }: Cuts, samples: number): Cuts[] {
  const fewer = [accumulate, 1].flatMap((parts) =>
    Array.from({ length: shards }, (_, i) => ({ batch, shards: shards - i, accumulate: parts, every })),
  );
  const near = Array.from({ length: TRIED }, (_, i) => [batch - 1 - i, batch + 1 + i]).flat();
  const others = near
    .filter((size) => size > 1)
    .flatMap((size) => {
      const least = Math.min(size, samples % size || size);
      const most = Math.max(1, Math.min(shards, least >> 1));
      return [accumulate, 1].map((parts) => ({ batch: size, shards: most, accumulate: parts, every }));
    });
  return [{ batch, shards, accumulate: 1, every }, ...fewer, ...others];
}
