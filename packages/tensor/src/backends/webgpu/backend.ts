/** WebGPU, on any device. Sums are taken in another order than on wasm and operations may be fused: results agree within rounding. */
import type { Backend } from '../backend.ts';
import { openCarried } from '../carried.ts';
import { compileGpuProgram, type GpuOptions, type GpuProgram } from './program.ts';

/** The backend that computes on a device. What it compiles throws RangeError where the device lacks what the options need. */
export function webgpu(device: GPUDevice, options: GpuOptions = {}): Backend {
  const compile = (outputs: Parameters<Backend['compile']>[0]): Promise<GpuProgram> =>
    compileGpuProgram(device, outputs, options);
  return {
    name: 'webgpu',
    exact: false,
    compile,
    open: (model, requests, session) => openCarried(compile, model, requests, session),
  };
}
