import { describe, expect, it } from 'vitest';
import { kernelNames, kernelShapes } from '../src/backends/wasm/gemm.ts';
import { scalarGemm, selectKernel, selfTest, wasmGemm } from '../src/backends/wasm/kernels.ts';
import { compileProgram } from '../src/backends/wasm/program.ts';
import { input } from '../src/ops/leaf.ts';
import { matmul } from '../src/ops/matmul.ts';
import { uniforms } from './support/cases.ts';
import { runSum } from './support/summation.ts';

const exactNames = kernelNames.filter((name) => !kernelShapes[name].fused);
const fusedNames = kernelNames.filter((name) => kernelShapes[name].fused);

describe('matrix product', () => {
  it.each(kernelNames)('%s passes the self-test', (name) => {
    expect(selfTest(name)).toBeUndefined();
  });

  it.each(exactNames)(
    '%s gives the bits of the scalar loop on every edge and transpose',
    (name) => {
      const { rows, columns } = kernelShapes[name];
      for (const m of [1, rows + 1, 2 * rows]) {
        for (const n of [1, columns - 1, columns, columns + 5]) {
          for (const k of [1, 256, 515]) {
            for (const bits of [0, 1, 2, 3]) {
              const gemm = { m, n, k, transposeA: bits % 2 === 1, transposeB: bits >= 2 };
              const a = Float32Array.from(uniforms(m * k, 3), (u) => u - 0.5);
              const b = Float32Array.from(uniforms(k * n, 4), (u) => u - 0.5);
              const found = Buffer.from(wasmGemm(gemm, name)(a, b).slice().buffer);
              const wanted = Buffer.from(scalarGemm(gemm, a, b).buffer);
              expect(found.equals(wanted), JSON.stringify(gemm)).toBe(true);
            }
          }
        }
      }
    },
    60_000,
  );

  it('gives them where both matrices are copied block by block', () => {
    for (const [m, n, k] of [
      [241, 257, 560],
      [521, 271, 259],
      [515, 70, 521],
    ] as const) {
      const a = Float32Array.from({ length: m * k }, (_, i) => ((i * 7919) % 1009) / 64 - 8);
      const b = Float32Array.from({ length: k * n }, (_, i) => ((i * 104729) % 2003) / 128 - 8);
      for (const [transposeA, transposeB] of [
        [false, false],
        [true, false],
        [true, true],
      ] as const) {
        const gemm = { m, n, k, transposeA, transposeB };
        const wanted = Buffer.from(scalarGemm(gemm, a, b).buffer);
        for (const name of exactNames) {
          const found = Buffer.from(wasmGemm(gemm, name)(a, b).slice().buffer);
          expect(found.equals(wanted), `${name} ${JSON.stringify(gemm)}`).toBe(true);
        }
      }
    }
  }, 60_000);

  it('gives them where a tall matrix is taken some rows at a time, in a batch too', async () => {
    const [batch, m, n, k] = [2, 700, 19, 200];
    for (const transposeB of [false, true]) {
      const a = Float32Array.from({ length: batch * m * k }, (_, i) => ((i * 7919) % 1009) / 64 - 8);
      const b = Float32Array.from({ length: batch * k * n }, (_, i) => ((i * 104729) % 2003) / 128 - 8);
      const gemm = { m, n, k, transposeA: false, transposeB };
      const wanted = Array.from({ length: batch }, (_, i) =>
        scalarGemm(gemm, a.subarray(i * m * k, (i + 1) * m * k), b.subarray(i * k * n, (i + 1) * k * n)),
      );
      for (const name of exactNames)
        expect(wasmGemm(gemm, name)(a.subarray(0, m * k), b.subarray(0, k * n)), name).toEqual(wanted[0]);
      const left = input('a', [batch, m, k]);
      const right = input('b', transposeB ? [batch, n, k] : [batch, k, n]);
      const program = await compileProgram([matmul(left, right, false, transposeB)]);
      (program.inputs.a as Float32Array).set(a);
      (program.inputs.b as Float32Array).set(b);
      program.run();
      expect(program.outputs[0]).toEqual(Float32Array.from(wanted.flatMap((one) => [...one])));
    }
  }, 60_000);
});

describe('fused matrix product', () => {
  it.each(fusedNames)(
    '%s is as near to the exact product as separate rounding',
    (name) => {
      const { rows, columns } = kernelShapes[name];
      for (const [m, n, k] of [
        [rows, columns, 900],
        [2 * rows + 1, columns + 3, 515],
        [245, 259, 560],
      ] as const) {
        for (const bits of [0, 1, 2, 3]) {
          const gemm = { m, n, k, transposeA: bits % 2 === 1, transposeB: bits >= 2 };
          const a = Float32Array.from(uniforms(m * k, 3), (u) => u - 0.5);
          const b = Float32Array.from(uniforms(k * n, 4), (u) => u - 0.5);
          const apart = scalarGemm(gemm, a, b);
          const found = wasmGemm(gemm, name)(a, b);
          let [errorApart, error] = [0, 0];
          for (let i = 0; i < m; i++) {
            for (let j = 0; j < n; j++) {
              let exact = 0;
              for (let p = 0; p < k; p++) {
                exact +=
                  a[gemm.transposeA ? p * m + i : i * k + p]! * b[gemm.transposeB ? j * k + p : p * n + j]!;
              }
              error += (found[i * n + j]! - exact) ** 2;
              errorApart += (apart[i * n + j]! - exact) ** 2;
            }
          }
          // Chance decides by as much between two errors of a hundred sums.
          expect(error, JSON.stringify(gemm)).toBeLessThanOrEqual(1.3 * errorApart);
        }
      }
    },
    60_000,
  );

  it('is chosen for fast arithmetic only', () => {
    expect(kernelShapes[selectKernel('fast').name].fused).toBe(true);
    expect(kernelShapes[selectKernel('exact').name].fused).toBe(false);
    expect(selectKernel()).toBe(selectKernel('exact'));
  });
});

describe('long sums', () => {
  const numbers = (count: number, seed: number) => {
    let state = seed;
    return Float32Array.from({ length: count }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      return (state / 2 ** 31) * 2 ** ((state >>> 8) % 8);
    });
  };

  it.each([
    [3, 5, 8192],
    [7, 17, 8193],
    [2, 3, 20_000],
    [1, 1, 270_000],
    [700, 1, 8500],
  ])(
    'have the bits of a plain loop: %d x %d of %d products',
    (m, n, k) => {
      for (const bits of [0, 1, 2, 3]) {
        const gemm = { m, n, k, transposeA: bits % 2 === 1, transposeB: bits >= 2 };
        const [a, b] = [numbers(m * k, 1), numbers(k * n, 2)];
        const term = (i: number, j: number) => (p: number) =>
          Math.fround(
            a[gemm.transposeA ? p * m + i : i * k + p]! * b[gemm.transposeB ? j * k + p : p * n + j]!,
          );
        const wanted = Float32Array.from({ length: m * n }, (_, e) =>
          runSum(k, 256, term(Math.floor(e / n), e % n)),
        );
        for (const name of exactNames) expect(wasmGemm(gemm, name)(a, b), name).toEqual(wanted);
      }
    },
    60_000,
  );

  it('do so in a program', async () => {
    const [m, n, k] = [70, 3, 9000];
    const [a, b] = [numbers(2 * m * k, 1), numbers(2 * k * n, 2)];
    const program = await compileProgram([matmul(input('a', [2, m, k]), input('b', [2, k, n]))]);
    (program.inputs.a as Float32Array).set(a);
    (program.inputs.b as Float32Array).set(b);
    program.run();
    const wanted = Float32Array.from({ length: 2 * m * n }, (_, e) => {
      const [one, i, j] = [Math.floor(e / m / n), Math.floor(e / n) % m, e % n];
      return runSum(k, 256, (p) => Math.fround(a[(one * m + i) * k + p]! * b[(one * k + p) * n + j]!));
    });
    expect(program.outputs[0]).toEqual(wanted);
  });
});
