/**
 * Every pointwise operation and its gradients on wasm over the whole of float32 against float64: all exponents with several mantissas and
 * both signs, the edges, and a dense sweep of where functions bend. The bounds are those of `ops/accuracy.ts`.
 */
import { describe, expect, it } from 'vitest';
import { gradients } from '../src/autodiff.ts';
import { evaluateGraph } from '../src/backends/reference/run.ts';
import type { Node } from '../src/graph.ts';
import { accuracy, type Bound } from '../src/ops/accuracy.ts';
import { input } from '../src/ops/leaf.ts';
import { apply } from '../src/ops/op.ts';
import { type PointwiseName, pointwiseOps } from '../src/ops/pointwise.ts';
import { sum } from '../src/ops/reduce.ts';
import { uniforms } from './support/cases.ts';
import { runWasm } from './support/run-wasm.ts';

const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;
const LARGEST = (2 - 2 ** -23) * 2 ** 127;
const edges = [0, 1, 0.5, 2, 3, 4, 100, 2 ** -149, 2 ** -126, 2 ** 24, LARGEST, infinity, nan].flatMap(
  (x) => [x, -x],
);

/** So many float32 numbers of every exponent and both signs: the first and the last of it, and others between. */
function ofEveryExponent(mantissas: number, stream: number): number[] {
  const drawn = uniforms(512 * mantissas, stream);
  const bits = Uint32Array.from({ length: 512 * mantissas }, (_, i) => {
    const which = Math.floor(i / 512);
    const mantissa = which === 0 ? 0 : which === 1 ? 0x7fffff : Math.floor(2 ** 23 * drawn[i]!);
    return ((i % 512) << 23) | mantissa;
  });
  return [...new Float32Array(bits.buffer)];
}

const between = (from: number, to: number, count: number) =>
  Array.from({ length: count }, (_, i) => from + ((to - from) * i) / count);

/** Inputs of so many arguments; sinusoid has a domain of its own. */
function inputsOf(name: PointwiseName, arity: number): number[][] {
  if (name === 'sinusoid') {
    const rows = uniforms(30_000, 11).map((u, i) => [
      i % 3 === 0 ? 9000 + (i % 100) : Math.floor(u * 2 ** (i % 25)),
      i % 64,
      [64, 65, 512][i % 3]!,
    ]);
    return [0, 1, 2].map((column) => rows.map((row) => row[column]!));
  }
  if (arity === 1) {
    return [
      [...edges, ...ofEveryExponent(40, 1), ...between(-18, 18, 60_000), ...between(-110, 110, 30_000)],
    ];
  }
  const own = [...edges, ...ofEveryExponent(1, 2).filter((_, i) => i % 3 === 0)];
  const pairs = own.flatMap((a) => own.map((b) => [a, b] as const));
  // Where powers are neither 0 nor infinite.
  const moderate = uniforms(40_000, 3).map(
    (u, i) => [20 * u, 60 * uniforms(1, 4 + (i % 7))[0]! * (i % 40) - 30] as const,
  );
  const rows = [...pairs, ...moderate];
  return Array.from({ length: arity }, (_, column) =>
    column < 2 ? rows.map((row) => row[column]!) : rows.map((_, i) => own[(7 * i) % own.length]!),
  );
}

/** What is wrong with a result by its bound; undefined: nothing. */
function excess(found: number, truth: number, { ulps, absolute = 0, early = 1 }: Bound): string | undefined {
  if (Number.isNaN(truth) || Number.isNaN(found))
    return Number.isNaN(truth) && Number.isNaN(found) ? undefined : 'NaN';
  const nearest = Math.fround(truth);
  if (found === nearest) return undefined;
  // Overflow may set in as much early or late as the bound says.
  const [a, b] = [found, truth].map((x) => Math.max(-2 * LARGEST, Math.min(2 * LARGEST, x))) as [
    number,
    number,
  ];
  const unit =
    2 ** (Math.max(-126, Math.floor(Math.log2(Math.abs(Math.min(LARGEST, Math.max(-LARGEST, b)))))) - 23);
  if (!Number.isFinite(found) && Math.abs(truth) * early >= LARGEST - ulps * unit && found * truth > 0)
    return undefined;
  const away = Math.abs(a - b);
  return away <= ulps * unit * (1 + 1e-6) + absolute ? undefined : `${(away / unit).toPrecision(3)} ulp`;
}

function check(
  bound: Bound,
  found: ArrayLike<number>,
  truth: ArrayLike<number>,
  inputs: readonly Float32Array[],
): void {
  for (let i = 0; i < truth.length; i++) {
    const own = inputs.map((values) => values[i]!);
    const wrong = excess(found[i]!, truth[i]!, bound);
    if (wrong) expect.fail(`of ${own.join(' and ')}: ${found[i]} where ${truth[i]} is right (${wrong})`);
  }
}

describe.each(Object.values(pointwiseOps).map((op) => [op.name as PointwiseName, op] as const))(
  '%s',
  (name, op) => {
    const { value, gradients: bounds } = accuracy[name];
    const columns = inputsOf(name, op.arity).map((column) => Float32Array.from(column));
    const leaves = columns.map((column, i) => input(`input${i}`, [column.length]));
    const feeds = Object.fromEntries(columns.map((column, i) => [`input${i}`, column]));
    const output = apply(op, leaves, {});
    const compare = async (nodes: readonly Node[], each: readonly (Bound | null)[]) => {
      const [truths, found] = [evaluateGraph(nodes, feeds), await runWasm(nodes, feeds)];
      each.forEach((bound, i) => {
        if (bound) check(bound, found[i]!, truths[i]!, columns);
      });
    };

    it('keeps its bound', () => compare([output], [value]));

    if ('none' in op.gradient || typeof bounds === 'string') return;
    it('has gradients that keep theirs', () => {
      expect(bounds).toHaveLength(op.arity);
      return compare(gradients(sum(output), leaves), bounds as readonly (Bound | null)[]);
    });
  },
);

describe('truths', () => {
  // The reference backend is the judge above: here it is judged, by numbers of others (mpmath, 17 digits).
  it.each([
    ['softplus', [-17], 4.13993763308975e-8],
    ['softplus', [-15], 3.0590227371372049e-7],
    ['sin', [1e10], -0.48750602508751067],
    ['cos', [1e10], 0.873119622676856],
    ['sin', [2 ** 127], 0.62338551295587],
    ['pow', [1, infinity], 1],
    ['pow', [1, nan], 1],
    ['pow', [nan, 0], 1],
    ['pow', [-1, infinity], 1],
    ['pow', [-2, 3], -8],
    ['pow', [-2, 0.5], nan],
    ['pow', [2, 100], 2 ** 100],
    ['pow', [0, -1], infinity],
    ['pow', [-0, -3], -infinity],
    ['pow', [-infinity, 0.5], infinity],
    ['gelu', [-5.11], -8.2311520511e-7],
    ['gelu', [-12], -2.1317785345e-32],
    ['gelu', [-infinity], -0],
    ['silu', [-92], -1.0202238978e-38],
    ['silu', [-infinity], -0],
    ['erf', [0.5], 0.5204998778130465],
    ['erf', [3], 0.9999779095030014],
    ['sinusoid', [9000, 5, 64], -0.9994275420594569],
  ] as const)('%s of %j', async (name, own, wanted) => {
    const leaves = own.map((_, i) => input(`input${i}`, [1]));
    const node = apply(pointwiseOps[name], leaves, {});
    const feeds = Object.fromEntries(own.map((value, i) => [`input${i}`, [value]]));
    const found = [evaluateGraph([node], feeds)[0]![0]!, (await runWasm([node], feeds))[0]![0]!];
    for (const [i, result] of found.entries()) {
      if (Number.isNaN(wanted)) expect(result).toBeNaN();
      else if (!Number.isFinite(wanted) || wanted === 0) expect(result === wanted, `${result}`).toBe(true);
      else expect(Math.abs(result / wanted - 1), String(i)).toBeLessThan(1e-6);
    }
  });
});
