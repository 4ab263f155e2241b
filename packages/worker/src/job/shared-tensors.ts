/** The shared memory of one job, opened by a worker; undefined if the coordinator is on another machine. */
import { messageOf } from '@kasane/protocol/errors';
import type { JobOpened } from '@kasane/protocol/gen/kasane/v1/training';
import { SharedGradients, SharedParameters } from '@kasane/protocol/internal/wire/shared-memory';
import type { Logger } from 'pino';

export interface SharedTensors {
  readonly parameters: SharedParameters;
  readonly gradients: OwnGradients;
  close(): void;
}

/** Opens the memory that the coordinator offers. Undefined if it offers none, or this process cannot open it. */
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

/**
 * Assigns places in shared memory to this worker's gradients. The first shard of each step takes the first place, so that later places
 * are rarely touched.
 */
export class OwnGradients {
  readonly #memory: SharedGradients;
  readonly #log: Logger;
  /** The place of each shard of the newest step. */
  readonly #places = new Map<number, number>();
  #step = -1;
  #full = false;

  constructor(memory: SharedGradients, log: Logger) {
    this.#memory = memory;
    this.#log = log;
  }

  /**
   * Writes floats of a shard's gradient, from `offset` on, to its place. Steps must ascend: places of the previous step are overwritten.
   * A second attempt at a shard writes the same numbers to the same place.
   * @returns the place; undefined if there is no room, so that they must be sent over the link
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

  /** The job has ended: later gradients go over the link, and are ignored. */
  close(): void {
    this.#full = true;
    this.#memory.close();
  }
}
