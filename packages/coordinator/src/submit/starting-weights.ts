/** The initial weights of a job: random, or loaded from the file that it names. Large ones are made in a thread. */
import { Worker } from 'node:worker_threads';
import { type Access, checkPath } from '@kasane/data/internal/files/access';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { jobOfInit, modelName } from '@kasane/protocol/internal/job/model-name';
import type { Job } from '@kasane/protocol/job';
import { drawingWork } from '@kasane/tensor/internal/nn/flops';
import { answerOf, type NoAnswer } from '@kasane/tensor/internal/node/thread-answer';
import type { Model } from '@kasane/tensor/nn/model';
import { jobNamed } from '../models/pinned.ts';
import type { JobStore } from '../store/store.ts';
import { makeWeights, type StartingWeights, type WeightsRequest } from './make-weights.ts';
import type { WeightsAnswer } from './weights-thread.ts';

/** Initializing this many parameters takes 15 to 50 ms; a thread costs several hundred, and delays the start of a small job. */
const FEW_PARAMETERS = 1 << 19;

/** Whether random weights are made fast enough for the event loop. */
export const isDrawnSoon = ({ parameters }: Pick<Model, 'parameters'>): boolean =>
  parameters.reduce((sum, { initializer, shape }) => sum + drawingWork(initializer, shape), 0) <=
  FEW_PARAMETERS;

/** What weights can be named of: jobs, and registered models. */
export type StartingModels = Pick<JobStore, 'get' | 'models'>;

/**
 * @param models that `init` may name; without them it must be a file
 * @param expected the SHA-256 that the file had when the job was submitted; empty if unknown
 * @param access what it may read
 * @throws KasaneError JOB_INVALID if the file cannot be read, has changed, or contains nothing that fits
 */
export async function startingWeights(
  { spec, model }: Job,
  expected: string,
  access: Access,
  models?: StartingModels,
): Promise<StartingWeights> {
  const { init, initLayout } = spec;
  const named = init === undefined ? undefined : namedWeights(init, models);
  if (init !== undefined && !named) {
    try {
      checkPath(init, access, 'init');
    } catch (cause) {
      throw new KasaneError('JOB_INVALID', messageOf(cause), { cause });
    }
  }
  const request = {
    ...{ model: model.description, seed: spec.training.seed, init, initLayout },
    file: named?.file,
    expected: expected || (named?.digest ?? ''),
  };
  if (init === undefined && isDrawnSoon(model)) return makeWeights(request);
  return inThread(request, access.signal);
}

interface Named {
  readonly file: string;
  readonly digest: string;
}

/** The file of what is named as a job or a registered model; undefined where it is a path. @throws KasaneError JOB_INVALID */
function namedWeights(init: string, models: StartingModels | undefined): Named | undefined {
  const id = models ? jobNamed(init, models) : jobOfInit(init);
  if (id === undefined) return modelName(init) ? registered(init, models) : undefined;
  const refuse = (why: string) => new KasaneError('JOB_INVALID', `init: ${why}`);
  if (!models)
    throw refuse(
      `${init} names a job, whose weights only its coordinator has: submit this there with \`kasane submit\`, or get the file with \`kasane export ${id} --format safetensors\``,
    );
  const record = models.get(id);
  if (!record)
    throw refuse(`there is no job '${id}' on this coordinator; list its jobs with \`kasane jobs\``);
  if (!record.model) throw refuse(`job ${id} has no final weights: it has not succeeded`);
  return { file: record.model, digest: record.digest };
}

/** The file of a registered model. @throws KasaneError JOB_INVALID */
function registered(name: string, models: StartingModels | undefined): Named {
  if (!models)
    throw new KasaneError(
      'JOB_INVALID',
      `init: ${name} is a registered model, which only its coordinator has: submit the job there with \`kasane submit\`, or get the file with \`kasane export ${name} --format safetensors\``,
    );
  try {
    const { digest } = models.models.require(name);
    return { file: models.models.path(digest), digest };
  } catch (cause) {
    throw new KasaneError('JOB_INVALID', `init: ${messageOf(cause)}`, { cause });
  }
}

async function inThread(request: WeightsRequest, signal: AbortSignal | undefined): Promise<StartingWeights> {
  const file = import.meta.url.endsWith('.ts') ? './weights-thread.ts' : './weights-thread.js';
  const thread = new Worker(new URL(file, import.meta.url), { workerData: request });
  const refuse = (why: NoAnswer) =>
    why === 'memory'
      ? new KasaneError(
          'LIMIT',
          'model: not enough memory to create its weights. Use a smaller model, or a machine with more memory',
        )
      : new Error('the thread that creates the weights exited');
  const answer = await answerOf<WeightsAnswer>(thread, refuse, signal);
  if ('refused' in answer)
    throw new KasaneError('JOB_INVALID', answer.refused, {
      cause: answer.isMissing && Object.assign(new Error(answer.refused), { code: 'ENOENT' }),
    });
  return answer;
}
