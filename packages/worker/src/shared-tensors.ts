/** The shared memory of one job, as a worker opens it; undefined where the coordinator is on another machine. */
import type { JobOpened } from '@kasane/protocol/gen/kasane/v1/training';
import { SharedGradients, SharedParameters } from '@kasane/protocol/shared-memory';

export interface SharedTensors {
  readonly parameters: SharedParameters;
  readonly gradients: SharedGradients;
  close(): void;
}

/** Opens what the coordinator offers. Undefined when it offers nothing, or this process cannot open it. */
export function openShared(opened: JobOpened): SharedTensors | undefined {
  const { parametersMemory, gradientsMemory, parameterCount } = opened;
  if (!parametersMemory || !gradientsMemory) return undefined;
  let parameters: SharedParameters | undefined;
  try {
    parameters = SharedParameters.open(parametersMemory, parameterCount);
    const gradients = SharedGradients.open(gradientsMemory, parameterCount);
    const own = parameters;
    return {
      parameters,
      gradients,
      close() {
        own.close();
        gradients.close();
      },
    };
  } catch {
    parameters?.close();
    return undefined;
  }
}
