/** Checks before a job is queued, apart from those of its data: whether it can be trained as described. */

import type { DataParts } from '@kasane/data/dataset';
import { KasaneError } from '@kasane/protocol/errors';
import { whyUnfit } from '@kasane/protocol/internal/job/fit';
import type { Job } from '@kasane/protocol/job';
import { counted } from '@kasane/tensor/internal/counted';
import { type Cuts, cutsOf, RunPlan, trainSizes } from '../run/plan.ts';
import { describeSamples } from './describe-job.ts';
import { checkMemory } from './memory.ts';

/** Step numbers have 32 bits. */
const MOST_STEPS = 2 ** 32 - 1;
/** Range in which a working batch size is searched for the error message. */
const TRIED = 512;

/** Checks how epochs are divided into steps and shards. @throws KasaneError JOB_INVALID, LIMIT */
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
 * Checks steps, shapes and memory.
 * @param backends of the workers that are connected
 * @param signal aborted if nobody waits for the result any more
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

/** Other ways to divide an epoch, those with the smallest change first. */
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
