import { describe, expect, it } from 'vitest';
import { gradients } from '../src/autodiff.ts';
import { evaluateGraph } from '../src/backends/reference/run.ts';
import { compileGraph } from '../src/backends/wasm/compile.ts';
import type { Node } from '../src/graph.ts';
import { allOps } from '../src/ops/index.ts';
import { input } from '../src/ops/leaf.ts';
import { matmul } from '../src/ops/matmul.ts';
import { broadcast, reshape, transpose } from '../src/ops/movement.ts';
import { add, exp, gt, mul, neg, relu, select, sub, tanh } from '../src/ops/pointwise.ts';
import { maxReduce, sum } from '../src/ops/reduce.ts';
import { broadcastShapes, sizeOf } from '../src/shape.ts';
import { opCases, uniforms } from './support/cases.ts';
import { runWasm } from './support/run-wasm.ts';

function expectClose(found: Float32Array, wanted: ArrayLike<number>, what: string): void {
  expect(found.length, what).toBe(wanted.length);
  found.forEach((value, i) => {
    const error = Math.abs(value - wanted[i]!) / Math.max(1, Math.abs(wanted[i]!));
    expect(error, `${what}, element ${i}: ${value} where the reference gives ${wanted[i]}`).toBeLessThan(
      2e-5,
    );
  });
}

describe('wasm agrees with the reference', () => {
  const cases = opCases();

  it('on at least one case of every operation that computes', () => {
    const leaves = ['input', 'parameter'];
    const tested = new Set(cases.map((c) => c.op));
    expect(allOps.map((op) => op.name).filter((name) => !leaves.includes(name) && !tested.has(name))).toEqual(
      [],
    );
  });

  it.each(cases.map((c) => [c.label, c] as const))('%s', async (_, { output, feeds }) => {
    expectClose((await runWasm([output], feeds))[0]!, evaluateGraph([output], feeds)[0]!, 'output');
  });

  it.each(cases.filter((c) => c.differentiable).map((c) => [c.label, c] as const))(
    'gradient of %s',
    async (_, { inputs, output, feeds }) => {
      const wrt = inputs.filter((node) => node.dtype === 'f32');
      const outputs = [output, ...gradients(output, wrt)];
      const wanted = evaluateGraph(outputs, feeds);
      for (const [i, found] of (await runWasm(outputs, feeds)).entries()) {
        expectClose(found, wanted[i]!, `output ${i}`);
      }
    },
  );
});

describe('random graphs', () => {
  /** A graph of `size` operations on what was made before, reproducible by its stream. */
  function randomGraph(stream: number, size: number) {
    const draws = uniforms(4 * size + 60, 7000 + stream);
    let drawn = 0;
    const below = (n: number) => Math.floor(draws[drawn++ % draws.length]! * n);
    const shapes = [[4, 6], [6], [4, 1], [6, 4], []];
    const inputs = shapes.map((shape, i) => input(`x${i}`, shape));
    const feeds = Object.fromEntries(
      inputs.map((node, i) => [
        String(node.attributes.name),
        Float32Array.from(uniforms(sizeOf(node.shape), 90 * stream + i), (u) => 2 * u - 1),
      ]),
    );
    const nodes: Node[] = [...inputs];
    const pick = () => nodes[below(nodes.length)]!;
    const matching = (a: Node) => {
      const fits = nodes.filter((b) => broadcastShapes([a.shape, b.shape]));
      return fits[below(fits.length)]!;
    };
    while (nodes.length < inputs.length + size) {
      const a = pick();
      const b = matching(a);
      const rank = a.shape.length;
      const matrices = nodes.filter((node) => node.shape.length === 2 && rank === 2);
      const right = matrices.find((node) => node.shape[0] === a.shape[1]);
      const made = [
        () => add(a, b),
        () => mul(tanh(a), b),
        () => relu(sub(a, b)),
        () => select(gt(a, b), neg(b), a),
        () => tanh(a),
        () => transpose(a),
        () => reshape(a, [...a.shape].reverse()),
        () => reshape(a, [sizeOf(a.shape), 1]),
        () => broadcast(a, broadcastShapes([a.shape, b.shape])!),
        () => (rank > 0 ? tanh(sum(a, [below(rank)], below(2) === 0)) : neg(a)),
        () => (rank > 0 ? maxReduce(a, [below(rank)], true) : neg(a)),
        () => (right ? tanh(matmul(a, right)) : neg(a)),
      ][below(12)]!();
      if (sizeOf(made.shape) <= 600) nodes.push(made);
    }
    return { inputs, feeds, outputs: [nodes.at(-1)!, nodes.at(-3)!, nodes.at(-1)!, pick(), pick()] };
  }

  it('are computed as the reference computes them, however they are fused', async () => {
    for (let stream = 0; stream < 200; stream++) {
      const { feeds, outputs } = randomGraph(stream, 5 + (stream % 25));
      const wanted = evaluateGraph(outputs, feeds);
      for (const [i, found] of (await runWasm(outputs, feeds)).entries()) {
        expectClose(found, wanted[i]!, `graph ${stream}, output ${i}`);
      }
    }
  }, 60_000);
});

describe('outputs with given places', () => {
  it('are copied where two share a tensor or one is an input, and are final when the stage says so', () => {
    const x = input('x', [2, 3]);
    const y = exp(x);
    const z = neg(sum(y, [0]));
    const outputs = [y, reshape(y, [6]), y, x, z];
    const targets = new Map(outputs.map((_, index) => [index, 4096 + 128 * index]));
    const compiled = compileGraph({
      outputs,
      leaves: new Map([[x, 1024]]),
      targets,
      groups: outputs.map((_, index) => [index]),
      arenaStart: 8192,
      scratch: 64,
      kernel: '4x8',
    });
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
    new Float32Array(memory.buffer).fill(Number.NaN);
    const values = [0, 1, 2, -1, -2, -3];
    new Float32Array(memory.buffer, 1024, 6).set(values);
    const module = new WebAssembly.Module(compiled.encode({ pages: 1, shared: false }).bytes);
    const instance = new WebAssembly.Instance(module, { env: { memory } });
    const wanted = evaluateGraph(outputs, { x: Float32Array.from(values) });
    const ready: number[] = [];
    for (const [index, stage] of compiled.stages.entries()) {
      (instance.exports[`stage${index}`] as () => void)();
      ready.push(...stage.ready);
      for (const group of ready) {
        const found = new Float32Array(memory.buffer, targets.get(group)!, sizeOf(outputs[group]!.shape));
        expectClose(found, wanted[group]!, `output ${group} after stage ${index}`);
      }
    }
    expect(ready.sort()).toEqual([0, 1, 2, 3, 4]);
  });
});
