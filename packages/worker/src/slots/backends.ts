/** Where a worker's backends are chosen: wasm, which is always there and exact, and the one of a GPU for those jobs that it may compute. */
import type { Backend, MathMode } from '@kasane/tensor/backends/backend';
import { wasm } from '@kasane/tensor/backends/wasm/backend';
import type { Helpers } from '@kasane/tensor/internal/backends/wasm/helpers';
import { selectKernel } from '@kasane/tensor/internal/backends/wasm/kernels';
import { enableRevectorization } from '@kasane/tensor/internal/node/v8-flags';
import { type Compute, openGpu } from './gpu.ts';

export interface Backends {
  /** What computes here, as people see it: 'wasm 5x16 revectorized, 2 threads', 'webgpu nvidia hopper'. */
  readonly kernel: string;
  /** Why it is slower than it could be. */
  readonly warning?: string;
  /** The backend for jobs of this arithmetic. */
  choose(math: MathMode): BackendChoice;
  /** Gives the device back. */
  close(): void;
}

export interface BackendChoice {
  readonly backend: Backend;
  /** Why the job is computed slower than it could be. */
  readonly warning?: string;
}

/**
 * @param helpers threads that run what wasm computes together with this one
 * @throws Error where the GPU that was asked for is not there
 */
export async function openBackends(compute: Compute, helpers?: Helpers): Promise<Backends> {
  enableRevectorization();
  const { name, revectorized, warning } = selectKernel();
  const gpu = await openGpu(compute);
  const cpu: Backend = helpers
    ? { ...wasm, open: (model, requests, options) => wasm.open(model, requests, { ...options, helpers }) }
    : wasm;
  const together = helpers ? `, ${helpers.threads} threads` : '';
  const onGpu = gpu && (await onDevice(gpu.device, compute));
  return {
    kernel: gpu?.name ?? `wasm ${name}${revectorized ? ' revectorized' : ''}${together}`,
    ...(warning && { warning }),
    choose: (math) => {
      if (onGpu && (math === 'fast' || onGpu.exact)) return { backend: onGpu };
      const slow = onGpu
        ? 'a job requires exact arithmetic, which GPUs do not guarantee; computing it on the CPU'
        : selectKernel(math).warning;
      return { backend: cpu, ...(slow && { warning: slow }) };
    },
    close: () => gpu?.device.destroy(),
  };
}

/** Its generator of shaders is loaded where there is a device: each thread has its modules to itself. */
async function onDevice(device: GPUDevice, { gpuStorage = 'f32' }: Compute) {
  const { webgpu } = await import('@kasane/tensor/backends/webgpu/backend');
  return webgpu(device, { storage: gpuStorage });
}
