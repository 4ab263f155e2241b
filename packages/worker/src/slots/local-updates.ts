/** The updates of one replica, which trains several steps on its own before its changes are averaged with others'. */
import { exchangedParameters, floatsOf } from '@kasane/protocol/internal/job/job-exchange';
import type { SessionLayout } from '@kasane/tensor/backends/layout';
import type { OptimizerOptions } from '@kasane/tensor/internal/optim/optimizers';
import type { Model, ParameterSpec } from '@kasane/tensor/nn/model';
import type { Updater } from '@kasane/tensor/optim/updater';
import { openUpdater } from '../peers/backend.ts';
import type { GradientTask } from './slot.ts';

/** The optimizer of replicas. */
export interface LocalOptimizer {
  readonly optimizer: OptimizerOptions;
  /** Maximum norm of a gradient; undefined: no clipping. */
  readonly clipNorm: number | undefined;
  /** Whether its state is exchanged with versions and gradients; otherwise it starts at zero in each round. */
  readonly keepsState: boolean;
}

/** Updates of a slot's session, which computes gradients in between. */
export type LocalUpdate =
  /** Begins a round with the exchanged state. */
  | { readonly kind: 'begin' }
  /**
   * Updates the parameters with the gradients. `step` counts the updates included in the optimizer's state; `factor` is 1 divided by the
   * weight of the losses.
   */
  | {
      readonly kind: 'step';
      readonly step: number;
      readonly learningRate: number;
      readonly factor: number;
    }
  /** Replaces the initial state by the round's changes, times the weight of its losses. */
  | { readonly kind: 'end'; readonly weight: number; readonly task: GradientTask };

export class LocalUpdates {
  /** In the layout of exchangedParameters. */
  readonly exchanged: SharedArrayBuffer;
  readonly #clipNorm: number | undefined;
  readonly #updater: Updater;
  readonly #specs: readonly ParameterSpec[];
  readonly #exchanged: Float32Array;
  /** The model's parameters in it. */
  readonly #parametersOfVersion: Float32Array;
  /** The optimizer's states in it, and their counterparts in the updater. */
  readonly #states: readonly { readonly exchanged: Float32Array; readonly own: Float32Array }[];
  /** The session's. */
  readonly #parameters: Float32Array;
  readonly #gradients: Float32Array;
  /** First step of the round, if the state starts at zero. */
  #first: number | undefined;

  /** @param memory that the layout's offsets refer to */
  static async open(
    model: Model,
    local: LocalOptimizer,
    memory: ArrayBufferLike,
    layout: Pick<SessionLayout, 'parameters' | 'gradients'>,
  ): Promise<LocalUpdates> {
    const updater = await openUpdater(model.parameters, local.optimizer);
    return new LocalUpdates(model, local, updater, memory, layout);
  }

  private constructor(
    model: Model,
    { optimizer, clipNorm, keepsState }: LocalOptimizer,
    updater: Updater,
    memory: ArrayBufferLike,
    { parameters, gradients }: Pick<SessionLayout, 'parameters' | 'gradients'>,
  ) {
    this.#clipNorm = clipNorm;
    this.#updater = updater;
    this.#specs = exchangedParameters(model, keepsState ? optimizer : undefined);
    this.exchanged = new SharedArrayBuffer(4 * floatsOf(this.#specs));
    this.#exchanged = new Float32Array(this.exchanged);
    this.#parametersOfVersion = this.#exchanged.subarray(0, model.parameterCount);
    const states = this.#specs.slice(model.parameters.length);
    this.#states = [...updater.state.values()].slice(0, states.length).map((own, index) => {
      const { offset, size } = states[index]!;
      return { exchanged: this.#exchanged.subarray(offset, offset + size), own: own.subarray(0, size) };
    });
    this.#parameters = new Float32Array(memory, parameters.offset, parameters.length);
    this.#gradients = new Float32Array(memory, gradients.offset, gradients.length);
  }

  /** Any worker may compute any replica, repeatedly, so nothing is kept from the previous round. */
  begin(): void {
    this.#parameters.set(this.#parametersOfVersion);
    this.#updater.parameters.set(this.#parametersOfVersion);
    for (const values of this.#updater.state.values()) values.fill(0);
    for (const { exchanged, own } of this.#states) own.set(exchanged);
    this.#first = undefined;
  }

  /** In the order of the parameter server's operations. */
  step(step: number, learningRate: number, factor: number): void {
    const updater = this.#updater;
    this.#first ??= step;
    updater.gradient.set(this.#gradients);
    updater.scale(factor);
    if (this.#clipNorm !== undefined) updater.clip(this.#clipNorm);
    updater.apply(this.#states.length > 0 ? step : step - this.#first, learningRate);
    this.#parameters.set(updater.parameters);
  }

  /**
   * A parameter's change is its gradient: start - end. Statistics move part of the way to the value in the gradient, so the gradient
   * holds the value that takes them to where they are now; the same applies to the optimizer's state.
   */
  end(weight: number): void {
    for (const { exchanged, own } of this.#states) exchanged.set(own);
    const values = this.#exchanged;
    const came = this.#updater.parameters;
    for (const { offset, size, statistic } of this.#specs) {
      for (let i = offset; i < offset + size; i++) {
        const before = values[i]!;
        const after = i < came.length ? came[i]! : before;
        const change = statistic ? reachedBy(statistic.rate, before, after) : before - after;
        values[i] = weight * change;
      }
    }
  }
}

/** The target of a statistic that has moved this far. With a rate of 0 it does not move at all. */
const reachedBy = (rate: number, before: number, after: number): number =>
  rate > 0 ? before + (after - before) / rate : 0;
