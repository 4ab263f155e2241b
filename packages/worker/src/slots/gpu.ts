/** WebGPU in Node: the only importer of the optional package `webgpu`. */

/**
 * wasm: the CPU. webgpu: a WebGPU adapter, which must be available. auto: a GPU if there is one, otherwise the CPU. Jobs with exact
 * arithmetic are always computed on the CPU: results of GPUs differ in their bits.
 */
export type Backend = 'wasm' | 'webgpu' | 'auto';

/** f16: what the forward pass stores for the backward pass takes half the GPU memory; requires shader-f16. */
export type GpuStorage = 'f32' | 'f16';

/** How the slots of a worker compute. */
export interface Compute {
  /** Default wasm. */
  readonly backend?: Backend;
  /** Threads per slot on wasm. Default 1. */
  readonly threads?: number;
  /** Default f32. */
  readonly gpuStorage?: GpuStorage;
  /** Times each kernel, which slows steps down. Default false. */
  readonly profile?: boolean;
}

export interface Gpu {
  readonly device: GPUDevice;
  /** 'webgpu nvidia hopper' */
  readonly name: string;
}

/** Dawn's instance, kept here because devices do not keep it alive. */
let instance: GPU | undefined;

/**
 * The device for a backend; undefined means wasm.
 * @throws Error for 'webgpu' if there is no adapter, it does not support the storage type, or the package is not installed
 */
export async function openGpu({ backend = 'wasm', gpuStorage }: Compute): Promise<Gpu | undefined> {
  if (backend === 'wasm') return undefined;
  try {
    instance ??= (await import('webgpu')).create([]);
    const adapter = await instance.requestAdapter({ powerPreference: 'high-performance' });
    if (!adapter)
      throw new Error(
        'there is no WebGPU adapter: a GPU with a Vulkan, Metal or Direct3D 12 driver is needed',
      );
    const { vendor, architecture, isFallbackAdapter } = adapter.info;
    // A software adapter is slower than wasm.
    if (backend === 'auto' && (isFallbackAdapter || architecture === 'swiftshader')) return undefined;
    if (gpuStorage === 'f16' && !adapter.features.has('shader-f16')) {
      throw new Error(
        `storage f16 needs an adapter with shader-f16, which this one (${vendor} ${architecture}) lacks`,
      );
    }
    const { deviceDescriptor } = await import('@kasane/tensor/backends/webgpu/program');
    const device = await adapter.requestDevice(deviceDescriptor(adapter));
    return { device, name: ['webgpu', vendor, architecture].filter(Boolean).join(' ') };
  } catch (error) {
    if (backend === 'auto') return undefined;
    const missing = (error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND';
    throw missing ? new Error("the package 'webgpu' is not installed: npm install webgpu@0.6.2") : error;
  }
}
