/** The version of the result definition: with a different one, the same job gives different bits. */
import { KasaneError } from '@kasane/protocol/errors';

/**
 * 1: the gradients of a step's shards are added from first to last; checkpoints do not name it. 2: along a binary tree
 * (tensor/src/ops/shard-tree.ts).
 */
export const RESULT_DEFINITION = 2;

/**
 * @param then version stored in a checkpoint; undefined if none is stored
 * @throws KasaneError JOB_FAILED if it differs: a mixture of both would match neither
 */
export function checkDefinition(id: string, step: number, then = 1): void {
  if (then === RESULT_DEFINITION) return;
  throw new KasaneError(
    'JOB_FAILED',
    `the checkpoint of step ${step} uses result definition ${then}, but this version of Kasane uses result definition ${RESULT_DEFINITION}, which gives different bits; finish the job with the version of Kasane that started it, or train it from the start with \`kasane retry ${id}\``,
  );
}
