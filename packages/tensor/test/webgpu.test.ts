/** The WebGPU backend in Node: every case of every operation with its gradients, and every layer against PyTorch. */
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { DeviceLostError } from '../src/backends/backend.ts';
import { webgpu } from '../src/backends/webgpu/backend.ts';
import { compileGpuProgram } from '../src/backends/webgpu/program.ts';
import { gather } from '../src/ops/gather.ts';
import { input } from '../src/ops/leaf.ts';
import { matmul } from '../src/ops/matmul.ts';
import { add, exp, relu } from '../src/ops/pointwise.ts';
import { maxReduce, sum } from '../src/ops/reduce.ts';
import { directions, opCases } from './support/cases.ts';
import { checkOperation, checkPytorch } from './support/conformance.ts';
import { onDevice, openDevice } from './support/gpu.ts';
import { type Fixtures, pytorchCases } from './support/pytorch.ts';

const device = await openDevice();
afterAll(() => device?.destroy());
const fixtures = JSON.parse(
  readFileSync(new URL('pytorch/fixtures.json', import.meta.url), 'utf8'),
) as Fixtures;

describe('WebGPU agrees with the reference', { ...onDevice(device), timeout: 60_000 }, () => {
  it.each(opCases().map((each) => [each.label, each] as const))('on %s', async (_, each) => {
    expect(await checkOperation(webgpu(device!), each)).toBeUndefined();
  });
});

describe('WebGPU agrees with PyTorch', { ...onDevice(device), timeout: 60_000 }, () => {
  it.each(pytorchCases(fixtures).map((each) => [each.label, each] as const))('on %s', async (_, each) => {
    expect(await checkPytorch(webgpu(device!), each)).toBeUndefined();
  });
});

describe('a product of any shape on WebGPU', { ...onDevice(device), timeout: 60_000 }, () => {
  it('has a tile that fits it', async () => {
    const compile = vi.spyOn(device!, 'createShaderModule');
    const sizes = [
      [40, 40],
      [2100, 5],
      [5, 2100],
      [4001, 5],
      [5, 4001],
      [8001, 1],
      [1, 8001],
    ] as const;
    for (const [m, n] of sizes) {
      const [a, b] = [input('a', [m, 3]), input('b', [3, n])];
      const feeds = {
        a: Float32Array.from(directions(3 * m, 1)),
        b: Float32Array.from(directions(3 * n, 2)),
      };
      const each = { op: 'matmul', label: `${m} x ${n}`, inputs: [a, b], feeds, differentiable: false };
      expect(
        await checkOperation(webgpu(device!), { ...each, output: matmul(a, b) }),
        each.label,
      ).toBeUndefined();
    }
    const used = compile.mock.calls.map(([{ code }]) => /@workgroup_size\((.*)\)/.exec(code)![1]);
    compile.mockRestore();
    expect(used.toSorted()).toEqual(['1, 64', '16, 4', '2, 32', '32, 2', '4, 16', '64, 1', '8, 8']);
  });
});

describe('a program on WebGPU', { ...onDevice(device), timeout: 60_000 }, () => {
  it('refuses an index that is out of range, and computes the next batch', async () => {
    const program = await compileGpuProgram(device!, [
      gather(input('table', [3, 2]), input('index', [2], 'i32')),
    ]);
    program.write('table', Float32Array.of(1, 2, 3, 4, 5, 6));
    for (const bad of [3, -1]) {
      program.write('index', Int32Array.of(1, bad));
      await expect(program.run()).rejects.toThrow(/index -?\d is out of range; the table has 3 rows/);
    }
    program.write('index', Int32Array.of(2, 0));
    expect([...(await program.run())[0]!]).toEqual([5, 6, 1, 2]);
    expect(() => program.write('tabel', new Float32Array(6))).toThrow(
      /no input 'tabel'; available: table, index/,
    );
    expect(() => program.write('table', new Float32Array(5))).toThrow(/5 numbers; expected 6/);
    program.destroy();
  });

  it('adds up more tensors than a small uniform has addresses of', async () => {
    const inputs = Array.from({ length: 100 }, (_, i) => input(`x${i}`, [3]));
    const program = await compileGpuProgram(device!, [exp(inputs.reduce((a, b) => add(a, b)))]);
    for (const [i, name] of [...program.inputs.keys()].entries()) {
      program.write(name, Float32Array.of(0, i === 99 ? Infinity : 1, i === 99 ? Number.NaN : 1));
    }
    expect([...(await program.run())[0]!]).toEqual([1, Infinity, Number.NaN]);
    program.destroy();
  });

  it('lets NaN and infinity through as IEEE says', async () => {
    const x = input('x', [4]);
    const program = await compileGpuProgram(device!, [relu(x), exp(x), sum(x), maxReduce(x)]);
    program.write('x', Float32Array.of(1, Number.NaN, Infinity, -Infinity));
    const [rectified, powers, total, largest] = await program.run();
    expect([...rectified!]).toEqual([1, Number.NaN, Infinity, 0]);
    expect(powers![1]).toBeNaN();
    expect([...powers!.slice(2)]).toEqual([Infinity, 0]);
    expect(total![0]).toBeNaN();
    expect(largest![0]).toBeNaN();
    program.destroy();
  });

  it('says so when its device is gone; another device goes on', async () => {
    const own = (await openDevice())!;
    const x = input('x', [4]);
    const program = await compileGpuProgram(own, [relu(x)]);
    own.destroy();
    await own.lost;
    await expect(program.run()).rejects.toThrow(DeviceLostError);
    const again = await compileGpuProgram(device!, [relu(x)]);
    again.write('x', Float32Array.of(-1, 2, -3, 4));
    expect([...(await again.run())[0]!]).toEqual([0, 2, 0, 4]);
    again.destroy();
  });
});
