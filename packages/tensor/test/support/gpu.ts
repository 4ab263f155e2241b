/**
 * A WebGPU device in Node. Without a GPU, SwiftShader (Debian: apt-get install chromium libvulkan1) computes on the CPU.
 * Where KASANE_REQUIRE_WEBGPU is set, a machine without either fails.
 */
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { deviceDescriptor } from '../../src/backends/webgpu/program.ts';

const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';

/** Dawn's instance: devices do not keep it alive by themselves. */
let gpu: GPU | undefined;

export async function openDevice(): Promise<GPUDevice | undefined> {
  if (existsSync(SWIFTSHADER) && !existsSync('/dev/dri')) {
    process.env.VK_ICD_FILENAMES ??= SWIFTSHADER;
    process.env.XDG_RUNTIME_DIR ??= tmpdir();
  }
  try {
    const { create } = await import('webgpu');
    gpu = create([]);
    const adapter = await gpu.requestAdapter();
    if (adapter) return await adapter.requestDevice(deviceDescriptor(adapter));
    throw new Error('there is no WebGPU adapter');
  } catch (error) {
    if (process.env.KASANE_REQUIRE_WEBGPU) throw error;
    console.warn(`WebGPU is not tested: ${(error as Error).message}`);
    return undefined;
  }
}
