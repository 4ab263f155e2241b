/**
 * Storage in f16 where no device at hand has it. Its code is that of rounded storage, which SwiftShader runs in
 * webgpu-training.test.ts, but for the type of one buffer and the function that makes halves; and Dawn takes it: the null backend
 * has every feature and checks what it is given as others do; it computes nothing.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { create } from 'webgpu';
import { webgpu } from '../src/backends/webgpu/backend.ts';
import { deviceDescriptor } from '../src/backends/webgpu/program.ts';
import { dispatchesOf, workspaceOf } from '../src/backends/webgpu/wgsl-kernels.ts';
import type { Halves } from '../src/backends/webgpu/wgsl-scalar.ts';
import { buildModel } from '../src/nn/model.ts';
import { makePlan } from '../src/plan/plan.ts';
import { outputNodes, traceProgram } from '../src/training.ts';
import { models, request } from './support/models.ts';

/** Every kernel of a training step in which all f32 that can be are halves. */
function codeOf(kind: string, halves: Halves): string[] {
  const { steps } = makePlan(outputNodes(traceProgram(buildModel(models[kind]!), request)));
  const computed = new Set(steps.map(({ output }) => output));
  return steps.flatMap((step) => {
    const workspace = workspaceOf(step) > 0 ? 0 : undefined;
    const place = (node: (typeof step)['output']) => ({
      start: 0,
      half: node.dtype === 'f32' && computed.has(node),
    });
    return dispatchesOf(step, place, workspace, { subgroups: true, halves }).map(({ code }) => code);
  });
}

const half = /fn half\(.*?\n}/s;
const declaration = /var<storage, read_write> h: array<f(?:16|32)>;/;

it.each(Object.keys(models))(
  'differs from rounded storage in the buffer and in what makes a half: %s',
  (kind) => {
    const [native, rounded] = [codeOf(kind, 'f16'), codeOf(kind, 'rounded')];
    let halved = 0;
    for (const [index, code] of native.entries()) {
      const strip = (text: string) =>
        text.replace('enable f16;\n', '').replace(half, '').replace(declaration, '').replaceAll(/\s+/g, ' ');
      // Helpers of the two makers of halves differ; everything else is the same text.
      const body = (text: string) => strip(text).slice(strip(text).indexOf('@compute'));
      expect(body(code)).toBe(body(rounded[index]!));
      if (!declaration.test(code)) continue;
      halved++;
      expect(code.startsWith('enable f16;')).toBe(true);
      expect(declaration.exec(code)![0]).toContain('array<f16>');
      expect(declaration.exec(rounded[index]!)![0]).toContain('array<f32>');
      // A half is only ever read through f32() and written through half().
      expect(code.replace(declaration, '').replaceAll(/f32\(h\[|\bh\[[^;]*\] = half\(/g, '')).not.toMatch(
        /\bh\[/,
      );
      if (code.includes('= half(')) expect(half.exec(code)![0]).toContain('-> f16');
    }
    expect(halved).toBeGreaterThan(10);
  },
);

describe('on a device with shader-f16', { timeout: 60_000 }, () => {
  // Held here: devices do not keep Dawn's instance alive by themselves.
  const gpu = create(['backend=null']);
  let device: GPUDevice;
  beforeAll(async () => {
    const adapter = (await gpu.requestAdapter())!;
    device = await adapter.requestDevice(deviceDescriptor(adapter));
  });
  afterAll(() => device.destroy());

  it.each(Object.entries(models))(
    'every kernel, its pipeline and its bindings are taken: %s',
    async (_, model) => {
      device.pushErrorScope('validation');
      const session = await webgpu(device, { storage: 'f16' }).open(buildModel(model), [request]);
      session.destroy();
      expect(await device.popErrorScope()).toBeNull();
    },
  );

  it('and a kernel that adds a half to a float is refused: the judge is one', async () => {
    const code = codeOf('convolution', 'f16').find((text) => text.includes('f32(h['))!;
    for (const [text, refused] of [
      [code, false],
      [code.replace('f32(h[', '1h + f32(h['), true],
    ] as const) {
      device.pushErrorScope('validation');
      const module = device.createShaderModule({ code: text });
      device.createComputePipeline({ layout: 'auto', compute: { module } });
      expect((await device.popErrorScope()) !== null).toBe(refused);
    }
  });
});
