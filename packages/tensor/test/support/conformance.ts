/** One case on a backend; says what is wrong, or undefined. Runs in Node and in browsers. */
import { gradients } from '../../src/autodiff.ts';
import type { Backend } from '../../src/backends/backend.ts';
import { evaluateGraph } from '../../src/backends/reference/run.ts';
import type { Node } from '../../src/graph.ts';
import { placeLeaves, type TypedValues } from '../../src/plan/leaves.ts';
import type { GraphCase } from './cases.ts';
import { disagreement, type PytorchCase } from './pytorch.ts';

const BOUND = 1e-4;

/** Computes outputs of a graph, by nothing but the contract. */
export async function compute(
  backend: Backend,
  outputs: readonly Node[],
  feeds: Readonly<Record<string, ArrayLike<number>>>,
): Promise<readonly TypedValues[]> {
  const program = await backend.compile(outputs);
  try {
    for (const [name, { dtype }] of placeLeaves(outputs, 0).byName) {
      program.write(name, (dtype === 'i32' ? Int32Array : Float32Array).from(feeds[name]!));
    }
    return (await program.run()).map((values) => values.slice());
  } finally {
    program.destroy();
  }
}

/** An operation and its gradients against the reference backend, element by element. */
export async function checkOperation(backend: Backend, each: GraphCase): Promise<string | undefined> {
  const { inputs, output, feeds, differentiable } = each;
  const wrt = inputs.filter((node) => node.dtype === 'f32');
  const outputs = [output, ...(differentiable ? gradients(output, wrt) : [])];
  const wanted = evaluateGraph(outputs, feeds);
  const found = await compute(backend, outputs, feeds);
  for (const [i, values] of wanted.entries()) {
    const what = i === 0 ? 'output' : `gradient ${i}`;
    const result = found[i]!;
    if (result.length !== values.length)
      return `${what}: ${result.length} numbers; expected ${values.length}`;
    const wrong = values.findIndex(
      (value, e) => !(Math.abs(result[e]! - value) / Math.max(1, Math.abs(value)) < BOUND),
    );
    if (wrong >= 0)
      return `${what}, element ${wrong}: ${result[wrong]} where the reference gives ${values[wrong]}`;
  }
  return undefined;
}

/** A layer or loss against PyTorch. */
export async function checkPytorch(backend: Backend, each: PytorchCase): Promise<string | undefined> {
  const nodes = each.expected.map(({ node }) => node);
  return disagreement(each, await compute(backend, nodes, each.feeds), BOUND);
}
