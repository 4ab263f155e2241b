/** WebGPU in Node: the one importer of the `webgpu` package, which is optional. */

/**
 * wasm: the CPU. webgpu: a WebGPU adapter, which must be there. auto: a GPU where there is one, else the CPU. Jobs that ask for
 * exact arithmetic are computed on the CPU whatever is chosen: no GPU promises the same bits as another.
 */
export type Backend = 'wasm' | 'webgpu' | 'auto';

/** f16: what the forward pass keeps for the backward pass takes half the memory of a GPU; it must have shader-f16. */
export type GpuStorage = 'f32' | 'f16';

/** How the slots of a worker compute. */
export interface Compute {
  /** Default wasm. */
  readonly backend?: Backend;
  /** Threads that run the program of a slot together, on wasm. Default 1. */
  readonly threads?: number;
  /** Default f32. */
  readonly gpuStorage?: GpuStorage;
  /** Each kernel is timed, which makes a step slower. Default false. */
  readonly profile?: boolean;
}

export interface Gpu {
  readonly device: GPUDevice;
  /** 'webgpu nvidia hopper' */
  readonly name: string;
}

/** Dawn's instance: devices do not keep it alive by themselves. */
let instance: GPU | undefined;

/**
 * The device for a backend; undefined means wasm.
 * @throws Error for 'webgpu' where there is no adapter, it cannot store what is asked for, or the package is not installed
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
    // A CPU that plays a GPU is slower than wasm.
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
