/**
 * A WebGPU device in Node. Without a GPU, SwiftShader (Debian: apt-get install chromium libvulkan1) computes on the CPU.
 * In CI (KASANE_CI=1) a machine without either fails.
 */
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { needing } from '../../../../test/support/needs.ts';
import { deviceDescriptor } from '../../src/backends/webgpu/program.ts';

const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';

/** Dawn's instance: devices do not keep it alive by themselves. */
let gpu: GPU | undefined;

/** @param features those that it gets, where it could have more */
export async function openDevice(features?: GPUFeatureName[]): Promise<GPUDevice | undefined> {
  if (existsSync(SWIFTSHADER) && !existsSync('/dev/dri')) {
    process.env.VK_ICD_FILENAMES ??= SWIFTSHADER;
    process.env.XDG_RUNTIME_DIR ??= tmpdir();
  }
  try {
    const { create } = await import('webgpu');
    // What a kernel does not write must not pass for zeros; and SwiftShader takes long to compile the zeroing of large arrays.
    gpu ??= create([
      'enable-dawn-features=disable_workgroup_init',
      'disable-dawn-features=timestamp_quantization',
    ]);
    const adapter = await gpu.requestAdapter();
    if (adapter) {
      return await adapter.requestDevice({
        ...deviceDescriptor(adapter),
        ...(features && { requiredFeatures: features }),
      });
    }
    throw new Error('there is no WebGPU adapter');
  } catch (error) {
    if (process.env.KASANE_CI === '1') throw error;
    return undefined;
  }
}

/** Options of a test or suite that computes on this device. */
export const onDevice = (device: GPUDevice | undefined) => needing(['webgpu'], () => device !== undefined);
