/** Plain loops in float64, rounded once at the end: slow, and right. */
import type { Node } from '../../graph.ts';
import { leafFor, placeLeaves, type TypedValues } from '../../plan/leaves.ts';
import { sizeOf } from '../../shape.ts';
import type { Backend, GraphProgram } from '../backend.ts';
import { openCarried } from '../carried.ts';
import { evaluateGraph } from './run.ts';

export const reference: Backend = {
  name: 'reference',
  // Its exponentials are the engine's, which each engine rounds as it likes.
  exact: false,
  compile,
  open: (model, requests, options) => openCarried(compile, model, requests, options),
};

async function compile(outputs: readonly Node[]): Promise<GraphProgram> {
  const { byName } = placeLeaves(outputs, 0);
  const valuesFor = ({ dtype }: Node) => (dtype === 'i32' ? Int32Array : Float32Array);
  const feeds = new Map<string, TypedValues>(
    [...byName].map(([name, node]) => [name, new (valuesFor(node))(sizeOf(node.shape))]),
  );
  return {
    write: (name, values) => {
      leafFor(byName, name, values);
      feeds.get(name)!.set(values);
    },
    run: () => {
      const results = evaluateGraph(outputs, Object.fromEntries(feeds));
      return results.map((values, index) => valuesFor(outputs[index]!).from(values));
    },
    destroy: () => feeds.clear(),
  };
}
