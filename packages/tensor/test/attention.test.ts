/** Causal attention in blocks against the whole matrix of scores with its upper half masked: the plain way to write it. */
import { describe, expect, it } from 'vitest';
import { gradients } from '../src/autodiff.ts';
import { evaluateGraph } from '../src/backends/reference/run.ts';
import type { Node } from '../src/graph.ts';
import { multiHeadAttention, type Projections } from '../src/nn/attention.ts';
import { softmax } from '../src/nn/losses.ts';
import { constant, input, iota } from '../src/ops/leaf.ts';
import { matmul } from '../src/ops/matmul.ts';
import { reshape, transpose } from '../src/ops/movement.ts';
import { add, ge, mul, ne, select } from '../src/ops/pointwise.ts';
import { sum } from '../src/ops/reduce.ts';
import { sizeOf } from '../src/shape.ts';
import { directions } from './support/cases.ts';
import { runWasm } from './support/run-wasm.ts';

const [samples, time, heads, size] = [2, 71, 2, 3];
const features = heads * size;
const x = input('x', [samples, time, features]);
const mask = input('mask', [samples, time]);
const upstream = input('upstream', [samples, time, features]);
const projections = Array.from({ length: 8 }, (_, i) =>
  input(`p${i}`, i % 2 === 0 ? [features, features] : [features]),
);
const all = projections as unknown as Projections;

function plain(masked: boolean): Node {
  const project = (from: Node, at: number) => add(matmul(from, projections[at]!), projections[at + 1]!);
  const split = (from: Node) => transpose(reshape(from, [samples, time, heads, size]), [0, 2, 1, 3]);
  const [query, key, value] = [0, 2, 4].map((at) => split(project(x, at))) as [Node, Node, Node];
  const seen = ge(iota([time, time], 0), iota([time, time], 1));
  const product = mul(matmul(query, key, false, true), constant(1 / Math.sqrt(size)));
  let scores = select(seen, product, constant(-1e9));
  if (masked) scores = select(ne(reshape(mask, [samples, 1, 1, time]), constant(0)), scores, constant(-1e9));
  const mixed = transpose(matmul(softmax(scores), value), [0, 2, 1, 3]);
  return project(reshape(mixed, [samples, time, features]), 6);
}

const feeds = Object.fromEntries(
  [x, upstream, ...projections].map((node, i) => [
    String(node.attributes.name),
    Float32Array.from(directions(sizeOf(node.shape), 300 + i)),
  ]),
);
// The second sample ends in padding.
feeds.mask = Float32Array.from({ length: samples * time }, (_, i) => (i < time + 40 ? 1 : 0));

/** The output, and the gradients of everything that goes in. */
const withGradients = (output: Node): Node[] => [
  output,
  ...gradients(sum(mul(output, upstream)), [x, ...projections]),
];

describe.each([false, true])('causal attention in blocks, padding masked: %s', (masked) => {
  const blocked = multiHeadAttention(x, all, { heads, causal: true, ...(masked && { mask }) });
  const whole = withGradients(plain(masked));

  it('never has the whole matrix of scores', () => {
    const seen = new Set<Node>();
    const visit = (node: Node): void => {
      if (seen.has(node)) return;
      seen.add(node);
      node.inputs.forEach(visit);
    };
    withGradients(blocked).forEach(visit);
    const products = [...seen].filter(({ op, shape }) => op === 'matmul' && shape.length === 4);
    expect(products.length).toBeGreaterThan(0);
    for (const { shape } of products) expect(sizeOf(shape)).toBeLessThanOrEqual(samples * heads * 32 * time);
  });

  it('is what the mask gives, and so are its gradients', async () => {
    const wanted = evaluateGraph(whole, feeds);
    const found = evaluateGraph(withGradients(blocked), feeds);
    const onWasm = await runWasm(withGradients(blocked), feeds);
    for (const [i, values] of wanted.entries()) {
      // The bias of the keys has no gradient: of it both give what rounding leaves.
      const largest = Math.max(1, ...values.map(Math.abs));
      const off = (other: ArrayLike<number>) =>
        Math.max(...values.map((value, e) => Math.abs(value - other[e]!))) / largest;
      expect(off(found[i]!), `output ${i}`).toBeLessThan(1e-12);
      expect(off(onWasm[i]!), `output ${i} on wasm`).toBeLessThan(1e-5);
    }
  });
});
