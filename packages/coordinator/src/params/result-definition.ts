/** The number of the definition of results: with another one the same job gives other bits. */
import { KasaneError } from '@kasane/protocol/errors';

/**
 * 1: the gradients of a step's shards are added from the first to the last; checkpoints do not name it.
 * 2: along a binary tree (tensor/src/ops/shard-tree.ts).
 */
export const RESULT_DEFINITION = 2;

/**
 * @param then of the training up to a checkpoint; undefined: the checkpoint does not say
 * @throws KasaneError JOB_FAILED when it is another one: what came of both would be what neither gives
 */
export function checkDefinition(id: string, step: number, then = 1): void {
  if (then === RESULT_DEFINITION) return;
  throw new KasaneError(
    'JOB_FAILED',
    `the checkpoint of step ${step} uses result definition ${then}, but this version of Kasane uses result definition ${RESULT_DEFINITION}, which gives different bits; finish the job with the version of Kasane that started it, or train it from the start with \`kasane retry ${id}\``,
  );
}
