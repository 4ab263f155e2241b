/** The shared memory of one job, as a worker opens it; undefined where the coordinator is on another machine. */
import { messageOf } from '@kasane/protocol/errors';
import type { JobOpened } from '@kasane/protocol/gen/kasane/v1/training';
import { SharedGradients, SharedParameters } from '@kasane/protocol/internal/wire/shared-memory';
import type { Logger } from 'pino';

export interface SharedTensors {
  readonly parameters: SharedParameters;
  readonly gradients: OwnGradients;
  close(): void;
}

/** Opens what the coordinator offers. Undefined when it offers nothing, or this process cannot open it. */
export function openShared(opened: JobOpened, log: Logger): SharedTensors | undefined {
  const { parametersMemory, gradientsMemory, parameterCount } = opened;
  if (!parametersMemory || !gradientsMemory) return undefined;
  let parameters: SharedParameters | undefined;
  try {
    parameters = SharedParameters.open(parametersMemory, parameterCount);
    const gradients = SharedGradients.open(gradientsMemory, parameterCount);
    const [ownParameters, ownGradients] = [parameters, new OwnGradients(gradients, log)];
    return {
      parameters,
      gradients: ownGradients,
      close() {
        ownParameters.close();
        ownGradients.close();
      },
    };
  } catch {
    parameters?.close();
    return undefined;
  }
}

/** Finds places for this worker's gradients: the first shard of each step takes the first place, so that those beyond are seldom written to. */
export class OwnGradients {
  readonly #memory: SharedGradients;
  readonly #log: Logger;
  /** Of the newest step: which place each shard has. */
  readonly #places = new Map<number, number>();
  #step = -1;
  #full = false;

  constructor(memory: SharedGradients, log: Logger) {
    this.#memory = memory;
    this.#log = log;
  }

  /**
   * Puts floats of a shard's gradient, from `offset` on, into its place. Steps must not go back: what the places of the step before
   * hold is overwritten. A second attempt at a shard has the place of the first, and the same numbers.
   * @returns the place; undefined where there is no room, and they must travel over the link
   */
  put(step: number, shard: number, offset: number, floats: Float32Array): number | undefined {
    if (this.#full) return undefined;
    if (step !== this.#step) this.#places.clear();
    this.#step = step;
    const place = this.#places.get(shard) ?? this.#places.size;
    if (place >= this.#memory.places.length) return undefined;
    this.#places.set(shard, place);
    try {
      this.#memory.places[place]!.write(offset, floats);
      return place;
    } catch (error) {
      this.#full = true;
      this.#log.warn(`sending gradients over the data link from now on: ${messageOf(error)}`);
      return undefined;
    }
  }

  /** The job has ended: what is still computed of it travels, and nobody waits for it. */
  close(): void {
    this.#full = true;
    this.#memory.close();
  }
}
