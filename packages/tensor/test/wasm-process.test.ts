/** What can only be seen in a process of its own: the effect of V8's flags, and of the garbage collector. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { kernelShapes } from '../src/backends/wasm/gemm.ts';
import type { KernelChoice } from '../src/backends/wasm/kernels.ts';
import { opCases } from './support/cases.ts';

async function runNode(script: string, ...flags: string[]): Promise<string> {
  const path = fileURLToPath(new URL(`./support/${script}`, import.meta.url));
  const before = flags.filter((flag) => flag.startsWith('--v8='));
  const after = flags.filter((flag) => !flag.startsWith('--v8='));
  const args = [...before.map((flag) => `--${flag.slice(5)}`), path, ...after];
  return (await promisify(execFile)(process.execPath, args)).stdout;
}

/**
 * Promised to be the same on every machine, so it stands here. It may change when an operation's definition of bits does
 * (a polynomial, an order of addition, the initialiser): then checkpoints of the same job change too, and the release notes
 * say so.
 */
const DIGEST = '69df856d85716e54ac15debdfc8c59ac8d836adfbb31418c1c9010f91d6cbf66';

type Bits = { asked: boolean; choice: KernelChoice; digests: Record<string, string> };

describe('bits of training', () => {
  it('are the same for every kernel, with paired operations, without, and in the baseline compiler', async () => {
    const runs = await Promise.all([
      runNode('wasm-bits.ts', '--revectorize'),
      runNode('wasm-bits.ts'),
      runNode('wasm-bits.ts', '--v8=no-wasm-tier-up'),
    ]);
    const [paired, plain, baseline] = runs.map((text) => JSON.parse(text) as Bits) as [Bits, Bits, Bits];
    const digests = [paired, plain, baseline].flatMap((run) => Object.values(run.digests));
    expect(digests.length).toBeGreaterThanOrEqual(12);
    expect([...new Set(digests)]).toEqual([DIGEST]);
    expect(plain.choice).toEqual({ name: '4x8', revectorized: false });
    // Where pairing was asked for, the narrow kernel must not be taken in silence.
    if (paired.asked && paired.choice.name !== '5x16') expect(paired.choice.warning).toMatch(/4x8/);
  }, 60_000);
});

interface Conformance {
  readonly asked: boolean;
  readonly kernels: Record<'exact' | 'fast', KernelChoice>;
  readonly cases: number;
  readonly problems: readonly string[];
}

describe('every operation and its gradients', () => {
  it('are those of the reference with paired operations and without, in exact and in fast arithmetic, by one thread, two and three', async () => {
    const runs = await Promise.all([
      runNode('wasm-conformance.ts', '--revectorize', '--threads'),
      runNode('wasm-conformance.ts'),
    ]);
    const [paired, plain] = runs.map((text) => JSON.parse(text) as Conformance) as [Conformance, Conformance];
    for (const { cases, problems } of [paired, plain]) {
      expect(problems).toEqual([]);
      expect(cases).toBe(opCases().length);
    }
    expect(plain.kernels.exact.revectorized).toBe(false);
    if (paired.asked && !paired.kernels.exact.revectorized)
      expect(paired.kernels.exact.warning).toBeDefined();
    for (const { kernels } of [paired, plain]) {
      // Without relaxed operations fast arithmetic is exact arithmetic.
      if (kernels.fast.name !== kernels.exact.name) expect(kernelShapes[kernels.fast.name].fused).toBe(true);
    }
  }, 240_000);
});

describe('a training step', () => {
  it('allocates nothing in JavaScript', async () => {
    const found = JSON.parse(await runNode('wasm-heap.ts', '--v8=expose-gc')) as Record<string, number>;
    expect(found.steps).toBe(10_000);
    // One number on the heap in each step would be 120,000 bytes; reading the heap's size takes some itself.
    expect(found.bytes).toBeLessThan(40_000);
  }, 60_000);
});
