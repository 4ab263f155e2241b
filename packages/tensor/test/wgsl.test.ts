/**
 * Storage in f16 where no device at hand has it: its code is that of rounded storage, which SwiftShader runs in
 * webgpu-training.test.ts, but for the type of one buffer and the function that makes halves.
 */
import { expect, it } from 'vitest';
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
