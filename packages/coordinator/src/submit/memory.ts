/** The memory that a job needs, on a worker and here, before it is allocated. */
import { totalmem } from 'node:os';
import { Worker } from 'node:worker_threads';
import { KasaneError } from '@kasane/protocol/errors';
import { exchangedOf, floatsOf } from '@kasane/protocol/internal/job/job-exchange';
import type { Job } from '@kasane/protocol/job';
import { answerOf, type NoAnswer } from '@kasane/tensor/internal/node/thread-answer';
import type { Model } from '@kasane/tensor/nn/model';
import { summarizeLayers } from '@kasane/tensor/nn/summary';
import { sizeOf } from '@kasane/tensor/shape';
import type { ProgramRequest } from '@kasane/tensor/training';
import { WASM_BYTES } from '../backend.ts';
import { SPARE_BUFFERS } from '../params/attempts.ts';
import type { MemoryAnswer, MemoryRequest } from './memory-thread.ts';

/** Copies of the parameters in the parameter server: the parameters, their gradient, two optimizer states, averages. */
const SERVER_COPIES = 5;

/** Upper bound for the bytes kept per operation. */
const KEPT_BYTES = 32;

/** Numbers of samples that are computed at once. */
export interface Samples {
  readonly train: readonly number[];
  readonly evaluate: readonly number[];
}

/**
 * Refuses a job that no worker, or this machine, has enough memory for.
 * @param mixed whether training samples are mixtures (mixup)
 * @param everywhere whether all workers compute in WebAssembly and so have its limit
 * @param signal aborted if nobody waits for the result any more
 * @throws KasaneError LIMIT with the bytes
 */
export async function checkMemory(
  job: Job,
  samples: Samples,
  mixed: boolean,
  everywhere: boolean,
  signal?: AbortSignal,
): Promise<void> {
  checkServer(job);
  if (!everywhere || isSmall(job, samples)) return;
  const { memory } = job.spec.training;
  const { objective } = job;
  const requests = (of: Samples): ProgramRequest[] => [
    ...of.train.map((count) => ({ mode: 'train', samples: count, objective, mixed, memory }) as const),
    ...of.evaluate.map((count) => ({ mode: 'evaluate', samples: count, objective }) as const),
  ];
  const bytesOf = planner(job, signal);
  try {
    const bytes = await bytesOf(requests(samples));
    if (bytes <= WASM_BYTES) return;
    const train = Math.max(...samples.train);
    const trainBytes = await bytesOf(requests({ train: [train], evaluate: [] }));
    const [size, option, mode] =
      trainBytes > WASM_BYTES
        ? [train, 'increase training.accumulate or training.shards', 'train']
        : [Math.max(...samples.evaluate), 'reduce evaluation.shardSamples', 'evaluate'];
    let fits = size >> 1;
    const ask = (count: number) =>
      bytesOf(
        requests({ train: mode === 'train' ? [count] : [], evaluate: mode === 'train' ? [] : [count] }),
      );
    while (fits > 0 && (await ask(fits)) > WASM_BYTES) fits >>= 1;
    const right =
      fits > 0
        ? `${fits} ${fits === 1 ? 'sample fits' : 'samples fit'}: ${option}`
        : 'not even one sample fits: use a smaller model.input or smaller layers';
    throw new KasaneError(
      'LIMIT',
      `model: ${size} ${size === 1 ? 'sample' : 'samples'} at once take ${bytes} bytes (${gib(bytes)}) on a worker, which has ${WASM_BYTES} (${gib(WASM_BYTES)}); ${right}`,
    );
  } finally {
    bytesOf.close();
  }
}

/** Whether the job obviously fits, without planning it: the planning thread takes longer to start than a small job. */
const isSmall = ({ model }: Job, { train, evaluate }: Samples): boolean =>
  // Graphs of custom programs may repeat, concatenate and multiply samples, which the operation count of one sample does not show.
  !model.loss &&
  model.layers.every(({ own }) => !own) &&
  mostBytes(model, Math.max(...train, ...evaluate)) < WASM_BYTES / 2;

/**
 * An upper bound for the bytes a worker needs: every number kept of a sample was computed by at least one operation, so they are at most
 * a few times the operations of a forward pass and the outputs of the layers. A dense layer computes a number from many operations, and
 * keeps none of the intermediate ones.
 */
export function mostBytes(model: Model, samples: number): number {
  const most = summarizeLayers(model).reduce((sum, { type, flops, outputShape }) => {
    const given = sizeOf(outputShape);
    return sum + given + (type === 'dense' ? given : flops);
  }, sizeOf(model.sampleShape));
  return KEPT_BYTES * samples * most + 16 * model.parameterCount;
}

const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

/** The coordinator holds the parameters several times, and the gradient of each shard. */
function checkServer(job: Job): void {
  const { shards } = job.spec.training;
  const floats = floatsOf(exchangedOf(job));
  const bytes = 4 * floats * (SERVER_COPIES + shards + SPARE_BUFFERS);
  const has = Math.min(process.constrainedMemory() || Number.POSITIVE_INFINITY, totalmem());
  if (bytes <= has) return;
  throw new KasaneError(
    'LIMIT',
    `training.shards: the gradients of ${shards} shards of ${floats} parameters take ${bytes} bytes (${gib(bytes)}) on the coordinator, which has ${has} (${gib(has)}); use fewer shards`,
  );
}

/** Plans in its own thread, one program after the other. */
function planner({ model }: Job, signal: AbortSignal | undefined) {
  const file = import.meta.url.endsWith('.ts') ? './memory-thread.ts' : './memory-thread.js';
  const thread = new Worker(new URL(file, import.meta.url));
  const plan = async (requests: readonly ProgramRequest[]): Promise<number> => {
    const request: MemoryRequest = { model: model.description, requests };
    thread.postMessage(request);
    const refuse = (why: NoAnswer) =>
      why === 'memory'
        ? new KasaneError(
            'LIMIT',
            'model: not enough memory to lay it out. Use fewer layers, or a machine with more memory',
          )
        : new Error('the thread that lays out the model exited');
    const answer = await answerOf<MemoryAnswer>(thread, refuse, signal);
    if ('refused' in answer) throw new KasaneError('JOB_INVALID', `model: ${answer.refused}`);
    return answer.bytes;
  };
  return Object.assign(plan, { close: () => void thread.terminate() });
}
