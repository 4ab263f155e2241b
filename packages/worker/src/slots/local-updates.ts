/** The updates of one replica, which trains several steps on its own before its changes are averaged with those of others. */
import type { SessionLayout } from '@kasane/tensor/backends/layout';
import type { OptimizerOptions } from '@kasane/tensor/internal/optim/optimizers';
import type { Model } from '@kasane/tensor/nn/model';
import type { Updater } from '@kasane/tensor/optim/updater';
import { openUpdater } from '../peers/backend.ts';

/** What replicas update themselves by. */
export interface LocalOptimizer {
  readonly optimizer: OptimizerOptions;
  /** Maximum norm of a gradient; undefined: it is not clipped. */
  readonly clipNorm: number | undefined;
}

/** Of a slot's session: it computes gradients in between. */
export type LocalUpdate =
  /** A round begins with the session's parameters. */
  | { readonly kind: 'begin' }
  /**
   * Updates the parameters by the gradients. `step` counts from 0 in each round, as the optimizer does; `factor` is 1 divided by the
   * weight of the losses.
   */
  | {
      readonly kind: 'step';
      readonly step: number;
      readonly learningRate: number;
      readonly factor: number;
    }
  /** The gradients become what the round has changed, times the weight of its losses; the parameters are of no use any more. */
  | { readonly kind: 'end'; readonly weight: number };

export class LocalUpdates {
  readonly #model: Model;
  readonly #clipNorm: number | undefined;
  readonly #updater: Updater;
  readonly #parameters: Float32Array;
  readonly #gradients: Float32Array;
  /** What the round began with. */
  readonly #start: Float32Array;

  /** @param memory what the layout's places are offsets of */
  static async open(
    model: Model,
    { optimizer, clipNorm }: LocalOptimizer,
    memory: ArrayBufferLike,
    layout: Pick<SessionLayout, 'parameters' | 'gradients'>,
  ): Promise<LocalUpdates> {
    const updater = await openUpdater(model.parameters, optimizer);
    return new LocalUpdates(model, clipNorm, updater, memory, layout);
  }

  private constructor(
    model: Model,
    clipNorm: number | undefined,
    updater: Updater,
    memory: ArrayBufferLike,
    { parameters, gradients }: Pick<SessionLayout, 'parameters' | 'gradients'>,
  ) {
    this.#model = model;
    this.#clipNorm = clipNorm;
    this.#updater = updater;
    this.#parameters = new Float32Array(memory, parameters.offset, parameters.length);
    this.#gradients = new Float32Array(memory, gradients.offset, gradients.length);
    this.#start = new Float32Array(parameters.length);
  }

  /** Any replica may be computed by any worker, and again: the optimizer begins anew. */
  begin(): void {
    this.#start.set(this.#parameters);
    this.#updater.parameters.set(this.#parameters);
    for (const values of this.#updater.state.values()) values.fill(0);
  }

  /** In the order of the parameter server's operations. */
  step(step: number, learningRate: number, factor: number): void {
    const updater = this.#updater;
    updater.gradient.set(this.#gradients);
    updater.scale(factor);
    if (this.#clipNorm !== undefined) updater.clip(this.#clipNorm);
    updater.apply(step, learningRate);
    this.#parameters.set(updater.parameters);
  }

  /**
   * A parameter's change stands for its gradient, start - end. Statistics go their part of the way to what the gradient holds, so it holds
   * what takes them to where they have come.
   */
  end(weight: number): void {
    const [start, end, gradients] = [this.#start, this.#parameters, this.#gradients];
    for (const { offset, size, statistic } of this.#model.parameters) {
      for (let i = offset; i < offset + size; i++) {
        const [before, after] = [start[i]!, end[i]!];
        const change = statistic ? before + (after - before) / statistic.rate : before - after;
        gradients[i] = weight * change;
      }
    }
  }
}
