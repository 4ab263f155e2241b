/**
 * Chooses the matrix kernel at start-up, behind a self-test: wide kernels rely on an experimental feature of the engine,
 * so they are compared with scalar arithmetic before they are used.
 */

import { FunctionBuilder, ModuleBuilder } from '../../assembler.ts';
import { partOf } from '../../ops/summation.ts';
import type { MathMode } from '../backend.ts';
import { buildGemm, type Gemm, gemmScratchBytes, type KernelName, kernelShapes } from './gemm.ts';
import { K_BLOCK } from './gemm-block.ts';
import { emitProducts, productsWorkspaceBytes } from './products.ts';

export interface KernelChoice {
  readonly name: KernelName;
  /** Whether 128-bit operations are expected to be paired into 256-bit ones. */
  readonly revectorized: boolean;
  /** Why a slower kernel than asked for was taken. */
  readonly warning?: string;
}

const narrow: Record<MathMode, KernelName> = { exact: '4x8', fast: '6x8 fused' };
const wide: Record<MathMode, KernelName> = { exact: '5x16', fast: '6x16 fused' };

let revectorize = false;

/**
 * Says that the engine pairs 128-bit operations (`node/v8-flags.ts` asks V8 for it); without it a 16-wide kernel would
 * spill registers. Call before the first session is opened.
 */
export function expectRevectorization(expected: boolean): void {
  revectorize = expected;
  chosen.clear();
}

const chosen = new Map<MathMode, KernelChoice>();

/** The kernel for this thread. With exact arithmetic the bits are the same whichever is chosen. */
export function selectKernel(math: MathMode = 'exact'): KernelChoice {
  const known = chosen.get(math);
  if (known) return known;
  const choice = choose(math);
  chosen.set(math, choice);
  return choice;
}

function choose(math: MathMode): KernelChoice {
  const objection = revectorize ? objectionToWide(wide[math], narrow[math]) : undefined;
  if (revectorize && !objection) return { name: wide[math], revectorized: true };
  const fault = selfTest(narrow[math]);
  if (fault && math === 'fast') {
    return { ...choose('exact'), warning: `fast arithmetic is not available: ${fault}` };
  }
  if (fault) throw new Error(`this engine's WebAssembly SIMD does not compute correctly: ${fault}`);
  const warning = objection && { warning: `${objection}; the ${narrow[math]} kernel is used instead` };
  return { name: narrow[math], revectorized: false, ...warning };
}

/** Why the wide kernel is not to be used although it was asked for. */
function objectionToWide(wide: KernelName, narrow: KernelName): string | undefined {
  const fault = selfTest(wide);
  if (fault) return `the ${wide} kernel failed its self-test (${fault})`;
  if (isFaster(wide, narrow)) return undefined;
  return `this engine or CPU does not pair 128-bit operations, without which the ${wide} kernel is slow`;
}

/**
 * Compares the shortest times of a product of 0.5 MFLOP; wide and narrow kernels differ by a factor, one way or the other.
 * They take turns, so that whatever else the machine does meets both.
 */
function isFaster(wide: KernelName, narrow: KernelName): boolean {
  const gemm: Gemm = { m: 60, n: 64, k: 64, transposeA: false, transposeB: false };
  const contenders = [wide, narrow].map((kernel) => ({
    run: openGemm(gemm, kernel).run,
    shortest: Infinity,
  }));
  for (let round = 0; round < 60; round++) {
    for (const contender of contenders) {
      const start = performance.now();
      for (let i = 0; i < 4; i++) contender.run();
      contender.shortest = Math.min(contender.shortest, performance.now() - start);
    }
  }
  return contenders[0]!.shortest <= contenders[1]!.shortest;
}

const ROUNDS = 32;

/** Shapes with full tiles, edges on every side, all four ways to read, and k beyond a block: 1,071 sums. */
const cases: readonly Gemm[] = [
  { m: 13, n: 37, k: 19, transposeA: false, transposeB: false },
  { m: 7, n: 16, k: 261, transposeA: true, transposeB: false },
  { m: 10, n: 35, k: 6, transposeA: false, transposeB: true },
  { m: 8, n: 16, k: 9, transposeA: true, transposeB: true },
];

/**
 * Compares a kernel with scalar arithmetic, often enough that at the end the engine's optimizing compiler has made the code.
 * Returns what is wrong, or undefined. A fused kernel may differ by its roundings.
 */
export function selfTest(kernel: KernelName): string | undefined {
  const { fused } = kernelShapes[kernel];
  for (const gemm of cases) {
    const { m, n, k } = gemm;
    // A small generator is enough here: values of all signs and sizes, the same in every run.
    let state = 12345 + m * n * k;
    const random = () => {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      return Math.fround(state * 2 ** -28);
    };
    const a = Float32Array.from({ length: m * k }, random);
    const b = Float32Array.from({ length: k * n }, random);
    const wanted = scalarGemm(gemm, a, b);
    let product: ReturnType<typeof wasmGemm>;
    try {
      product = wasmGemm(gemm, kernel);
    } catch (error) {
      return `the engine rejects it (${(error as Error).message})`;
    }
    const magnitude = fused ? scalarGemm(gemm, a.map(Math.abs), b.map(Math.abs)) : undefined;
    for (let round = 0; round < ROUNDS; round++) {
      const found = product(a, b);
      const wrong = wanted.findIndex((value, index) => {
        if (!magnitude) return !Object.is(value, found[index]);
        // Each of k additions and products may round differently, relative to the sum of magnitudes (Higham, section 3.1).
        return !(Math.abs(value - found[index]!) <= 2 * k * 2 ** -24 * magnitude[index]!);
      });
      if (wrong >= 0) {
        return `${m}x${n}x${k}, element ${wrong}: ${found[wrong]} where scalar arithmetic gives ${wanted[wrong]}`;
      }
    }
  }
  return undefined;
}

/** The definition of the product's bits. */
export function scalarGemm(gemm: Gemm, a: Float32Array, b: Float32Array): Float32Array {
  const { m, n, k, transposeA, transposeB } = gemm;
  const c = new Float32Array(m * n);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      c[i * n + j] = sumOfRuns(0, k, (p) =>
        Math.fround(a[transposeA ? p * m + i : i * k + p]! * b[transposeB ? j * k + p : p * n + j]!),
      );
    }
  }
  return c;
}

/** The sum of the terms [start, end), in runs and in levels of runs. */
function sumOfRuns(start: number, end: number, term: (index: number) => number): number {
  let sum = 0;
  if (end - start <= K_BLOCK) {
    for (let index = start; index < end; index++) sum = Math.fround(sum + term(index));
    return sum;
  }
  const part = partOf(end - start, K_BLOCK);
  for (let at = start; at < end; at += part)
    sum = Math.fround(sum + sumOfRuns(at, Math.min(end, at + part), term));
  return sum;
}

/** A product in a memory of its own: fill a and b, run, read c. */
export interface OpenedGemm {
  readonly a: Float32Array;
  readonly b: Float32Array;
  readonly c: Float32Array;
  run(): void;
}

/** Opens a product by itself: for tests and benchmarks. */
export function openGemm(gemm: Gemm, kernel: KernelName): OpenedGemm {
  const { m, n, k } = gemm;
  const align = (bytes: number) => Math.ceil(bytes / 64) * 64;
  const a = align(gemmScratchBytes(kernel));
  const b = a + align(4 * m * k);
  const c = b + align(4 * k * n);
  const workspace = c + align(4 * m * n + 64);
  const pages = Math.ceil((workspace + productsWorkspaceBytes(gemm) + 64) / 65536);
  const module = new ModuleBuilder({ pages, shared: false });
  const places = { a, b, c, scratch: 0, workspace };
  const run = emitProducts(new FunctionBuilder(), { ...gemm, batch: 1 }, places, (part) =>
    module.add(buildGemm(part, kernel)),
  );
  module.add(run, 'run');
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { env: { memory } });
  const view = (offset: number, length: number) => new Float32Array(memory.buffer, offset, length);
  return {
    a: view(a, m * k),
    b: view(b, k * n),
    c: view(c, m * n),
    run: instance.exports.run as () => void,
  };
}

/** A product of its own as a function; the result is valid until the next call. */
export function wasmGemm(gemm: Gemm, kernel: KernelName): (a: Float32Array, b: Float32Array) => Float32Array {
  const opened = openGemm(gemm, kernel);
  return (left, right) => {
    opened.a.set(left);
    opened.b.set(right);
    opened.run();
    return opened.c;
  };
}
