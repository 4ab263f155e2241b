/** The local steps of a round, derived from the job's description. */
import { cut, type Range, stepsOfRound } from '@kasane/data/plan';
import type { LocalSteps as Told } from '@kasane/protocol/gen/kasane/v1/training';
import { exchangedParameters } from '@kasane/protocol/internal/job/job-exchange';
import type { TaskData } from '@kasane/protocol/internal/queue/queue';
import type { OptimizerOptions } from '@kasane/tensor/internal/optim/optimizers';
import type { Model, ParameterSpec } from '@kasane/tensor/nn/model';
import { learningRate, type Schedule } from '@kasane/tensor/optim/schedules';
import type { LocalOptimizer } from '../slots/local-updates.ts';

export interface LocalStep {
  /** Steps that replicas have taken before it since the beginning of the run. */
  readonly step: number;
  /** The samples of the task that it takes. */
  readonly range: Range;
  readonly learningRate: number;
}

export class LocalSteps {
  readonly optimizer: LocalOptimizer;
  readonly #told: Told;
  readonly #schedule: Schedule;

  constructor(told: Told) {
    this.#told = told;
    this.#schedule = JSON.parse(told.schedule) as Schedule;
    const optimizer = JSON.parse(told.optimizer) as OptimizerOptions;
    this.optimizer = { optimizer, clipNorm: told.clipNorm, keepsState: told.keepsState };
  }

  /** Layout of versions and gradients. */
  exchangedOf(model: Model): readonly ParameterSpec[] {
    const { optimizer, keepsState } = this.optimizer;
    return exchangedParameters(model, keepsState ? optimizer : undefined);
  }

  /** The steps of a training task, which is a round of one replica; each has at least one sample. */
  of({ step, samples }: Pick<TaskData, 'step' | 'samples'>): LocalStep[] {
    const { stepsPerEpoch, epochs } = this.#told;
    const { first, count } = stepsOfRound(step, this.#told);
    return cut({ start: 0, end: samples }, count).map((range, index) => ({
      step: first + index,
      range,
      learningRate: learningRate(this.#schedule, first + index, epochs * stepsPerEpoch),
    }));
  }
}
