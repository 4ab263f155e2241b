/** What a job would do, before it does it. */
import type { CheckResponse } from '@kasane/protocol/gen/kasane/v1/jobs';
import { exchangedOf } from '@kasane/protocol/internal/job/job-exchange';
import { exchangedBytes } from '@kasane/protocol/internal/wire/rounded-floats';
import type { Job } from '@kasane/protocol/job';
import { count } from './count.ts';

/** As `--dry-run --json` has it. */
export function planRecord({ spec }: Job, plan: CheckResponse) {
  const { parameters, trainingSamples, testSamples, stepsPerEpoch, steps, notes } = plan;
  return { name: spec.name, parameters, trainingSamples, testSamples, stepsPerEpoch, steps, notes };
}

/** The same for people. */
export function planLines(job: Job, plan: CheckResponse): string[] {
  const { name, training, exchange } = job.spec;
  const { epochs, batch, shards } = training;
  const { every } = exchange;
  const step = every === 1 ? 'step' : 'round';
  const how =
    every === 1
      ? `batches of ${batch} in ${count(shards, 'shard')}, for at most ${count(shards, 'slot')} at a time`
      : `rounds of ${every} steps with ${count(shards, 'replica')}, batches of ${batch}`;
  const network = networkLine(job);
  return [
    `${name} can be trained; nothing was queued or trained`,
    `Model     ${count(plan.parameters, 'parameter')}`,
    `Data      ${count(plan.trainingSamples, 'training sample')}, ${count(plan.testSamples, 'test sample')}`,
    `Training  ${count(epochs, 'epoch')} of ${count(plan.stepsPerEpoch, step)} (${count(plan.steps, step)} in all), ${how}`,
    ...(network ? [`Network   ${network}`] : []),
    ...plan.notes.map((note) => `Note      ${note}`),
  ];
}

/** What a job sends over a network, where that is much; empty otherwise. */
export function networkLine(job: Job): string {
  const { every, precision } = job.spec.exchange;
  const megabytes = exchangedBytes(exchangedOf(job), precision) / 1e6;
  if (megabytes < 1) return '';
  const [each, what] =
    every === 1 ? ['step', 'gradients per task'] : [`round of ${every} steps`, 'changes per replica'];
  const size = megabytes.toFixed(1);
  return `each ${each} sends ${size} MB of ${what} and ${size} MB of parameters to each worker`;
}
