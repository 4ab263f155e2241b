/** Chooses a worker's backends: wasm, which is always available and exact, and a GPU's for jobs that allow it. */
import type { Backend, MathMode } from '@kasane/tensor/backends/backend';
import { wasm } from '@kasane/tensor/backends/wasm/backend';
import type { Helpers } from '@kasane/tensor/internal/backends/wasm/helpers';
import { selectKernel } from '@kasane/tensor/internal/backends/wasm/kernels';
import { enableRevectorization } from '@kasane/tensor/internal/node/v8-flags';
import { type Compute, openGpu } from './gpu.ts';

export interface Backends {
  /** Name of the kernel, for display: 'wasm 5x16 revectorized, 2 threads', 'webgpu nvidia hopper'. */
  readonly kernel: string;
  /** Why it is slower than it could be. */
  readonly warning?: string;
  /** The backend for jobs with this arithmetic. */
  choose(math: MathMode): BackendChoice;
  /** Releases the device. */
  close(): void;
}

export interface BackendChoice {
  readonly backend: Backend;
  /** Why the job is computed more slowly than it could be. */
  readonly warning?: string;
}

/** @param helpers threads that run wasm kernels together with this one @throws Error if the requested GPU is not available */
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

/** Imported only if there is a device, since each thread loads its own modules. */
async function onDevice(device: GPUDevice, { gpuStorage = 'f32' }: Compute) {
  const { webgpu } = await import('@kasane/tensor/backends/webgpu/backend');
  return webgpu(device, { storage: gpuStorage });
}
