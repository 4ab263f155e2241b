/** Where the backend of the CLI's own computations is chosen: wasm, which every machine has, and which gives the same bits on all of them. */

import { openWasmSession, type WasmSession } from '@kasane/tensor/backends/wasm/session';
import { type KernelChoice, selectKernel } from '@kasane/tensor/internal/backends/wasm/kernels';
import { enableRevectorization } from '@kasane/tensor/internal/node/v8-flags';
import type { Model } from '@kasane/tensor/nn/model';
import type { ProgramRequest } from '@kasane/tensor/training';

/** Opens a model's programs. @throws RangeError when there is no room for them */
export function openSession(model: Model, requests: readonly ProgramRequest[]): Promise<WasmSession> {
  enableRevectorization();
  return openWasmSession(model, requests);
}

/** Which kernel computes here. @throws Error when none of them passes its self-test */
export function kernelHere(): KernelChoice {
  enableRevectorization();
  return selectKernel('exact');
}
