/** Rounds the gradients of a session where they are computed, so that they are the same wherever they go. */
import type { Rounding } from '@kasane/tensor/internal/optim/rounding';
import type { Model } from '@kasane/tensor/nn/model';
import { type GradientRounder, openRounder } from '../peers/backend.ts';

export class RoundedGradients {
  readonly #model: Model;
  readonly #gradients: Float32Array;
  readonly #rounder: GradientRounder;

  /** @param gradients the buffer; values beyond those of the model are not gradients */
  constructor(model: Model, rounding: Rounding, gradients: Float32Array) {
    this.#model = model;
    this.#gradients = gradients;
    this.#rounder = openRounder(model.parameters, rounding);
  }

  /** All gradients of a task are final. */
  roundAll(step: number, shard: number): void {
    this.round([...this.#model.parameters.keys()], step, shard);
  }

  /** The gradients of these parameters, by index, are final. */
  round(parameters: readonly number[], step: number, shard: number): void {
    for (const index of parameters) {
      const { offset, size } = this.#model.parameters[index]!;
      this.#rounder.round(this.#gradients, offset, offset + size, { step, first: shard, count: 1 });
    }
  }
}
