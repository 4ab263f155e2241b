/** The gradients of a task that is computed in parts, one after the other: what the parts so far add up to. */
import type { SessionLayout } from '@kasane/tensor/backends/layout';
import type { Model } from '@kasane/tensor/nn/model';

export class GradientSums {
  readonly #model: Model;
  /** Of the part that was computed last. */
  readonly #gradients: Float32Array;
  /** Made when it is needed: most jobs compute a task at once. */
  #sums: Float32Array | undefined;

  /** @param memory what the layout's places are offsets of */
  constructor(model: Model, memory: ArrayBufferLike, { gradients }: Pick<SessionLayout, 'gradients'>) {
    this.#model = model;
    this.#gradients = new Float32Array(memory, gradients.offset, gradients.length);
  }

  /** The first part has run. */
  keep(): void {
    this.#sums ??= new Float32Array(this.#gradients.length);
    this.#sums.set(this.#gradients);
  }

  /** A further part has run, not the last. */
  add(): void {
    const [sums, gradients] = [this.#sums!, this.#gradients];
    for (let i = 0; i < sums.length; i++) sums[i] = sums[i]! + gradients[i]!;
  }

  /** The last part's gradients of these parameters, by index, are there: they become the task's. */
  addTo(parameters: readonly number[]): void {
    const [sums, gradients] = [this.#sums!, this.#gradients];
    for (const index of parameters) {
      const { offset, size } = this.#model.parameters[index]!;
      for (let i = offset; i < offset + size; i++) gradients[i] = sums[i]! + gradients[i]!;
    }
  }
}
