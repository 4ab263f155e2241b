/** The WebGPU adapter that benchmarks measure on, for us and for TensorFlow.js. Without a GPU it is SwiftShader, which computes on the CPU. */
import { existsSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { deviceDescriptor } from '@kasane/tensor/backends/webgpu/program';
import * as tf from '@tensorflow/tfjs-core';
import { create, globals } from 'webgpu';

const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';
const PEER = '@tensorflow/tfjs-backend-webgpu';

export interface BenchedGpu {
  /** Ours; TensorFlow.js opens its own on the same adapter. */
  readonly device: GPUDevice;
  /** 'google swiftshader' */
  readonly adapter: string;
  /** The adapter computes on the CPU: its figures are only to be compared with each other. */
  readonly software: boolean;
  /** Name and version of what it is compared with. */
  readonly peer: string;
}

/** Opens the adapter and makes it TensorFlow.js's backend. @throws Error where there is none */
export async function openGpu(): Promise<BenchedGpu> {
  if (existsSync(SWIFTSHADER) && !existsSync('/dev/dri')) {
    process.env.VK_ICD_FILENAMES ??= SWIFTSHADER;
    process.env.XDG_RUNTIME_DIR ??= tmpdir();
  }
  // TensorFlow.js looks for what a browser has.
  Object.assign(globalThis, globals);
  const gpu = create([]);
  Object.defineProperty(globalThis, 'navigator', { value: { gpu, userAgent: 'node' }, configurable: true });
  const adapter = await gpu.requestAdapter();
  if (!adapter)
    throw new Error('there is no WebGPU adapter: apt-get install chromium libvulkan1 brings SwiftShader');
  await import(PEER);
  await tf.setBackend('webgpu');
  await tf.ready();
  const { vendor, architecture, description, isFallbackAdapter } = adapter.info;
  const manifest = new URL('../package.json', import.meta.resolve(PEER));
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
  return {
    device: await adapter.requestDevice(deviceDescriptor(adapter)),
    adapter: [vendor, architecture, description].filter(Boolean).join(' '),
    software: isFallbackAdapter || architecture === 'swiftshader',
    peer: `TensorFlow.js ${version}, WebGPU`,
  };
}
