/** The slope of a program's summed loss along a random direction of its parameters: by its gradients, and by central differences. */
import { runReference } from '../../src/backends/reference/run.ts';
import type { Program } from '../../src/training.ts';
import { directions } from './cases.ts';

/** @param step half the distance between the two places that are compared */
export function slopesOf(
  program: Program,
  feeds: Parameters<typeof runReference>[1],
  parameters: Float64Array,
  step: number,
): {
  readonly measured: number;
  readonly computed: number;
  readonly gradients: readonly ArrayLike<number>[];
} {
  const gradients = runReference(program, feeds, parameters).gradients!;
  const along = directions(parameters.length, 2);
  const lossAt = (offset: number) =>
    runReference(
      program,
      feeds,
      parameters.map((v, i) => v + offset * along[i]!),
    ).lossSum!;
  return {
    measured: (lossAt(step) - lossAt(-step)) / (2 * step),
    computed: gradients.flatMap((g) => [...g]).reduce((total, v, i) => total + v * along[i]!, 0),
    gradients,
  };
}
