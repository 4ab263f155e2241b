/** Places of a program's inputs and parameters, which stay where they are from run to run. */
import { type Node, topologicalOrder } from '../graph.ts';
import { sizeOf } from '../shape.ts';
import { bytesOfNode } from './arena.ts';

export type TypedValues = Float32Array | Int32Array;

export interface Leaves {
  readonly byName: ReadonlyMap<string, Node>;
  /** Byte offsets. */
  readonly places: ReadonlyMap<Node, number>;
  readonly end: number;
}

/**
 * Places what `outputs` need one behind the other, from byte `start`.
 * @throws RangeError when two leaves have one name
 */
export function placeLeaves(outputs: readonly Node[], start: number): Leaves {
  const byName = new Map<string, Node>();
  const places = new Map<Node, number>();
  let end = start;
  for (const node of topologicalOrder(outputs)) {
    if (node.op !== 'input' && node.op !== 'parameter') continue;
    const name = String(node.attributes.name);
    if (byName.has(name)) throw new RangeError(`two leaves are named '${name}'`);
    byName.set(name, node);
    places.set(node, end);
    end += bytesOfNode(node);
  }
  return { byName, places, end };
}

/**
 * The leaf that is given these values.
 * @throws RangeError when there is none of that name, or it takes another number of them, or another type
 */
export function leafFor(leaves: ReadonlyMap<string, Node>, name: string, values: TypedValues): Node {
  const node = leaves.get(name);
  if (!node) throw new RangeError(`no input '${name}'; available: ${[...leaves.keys()].join(', ')}`);
  if (values.length !== sizeOf(node.shape)) {
    throw new RangeError(`input '${name}': ${values.length} numbers; expected ${sizeOf(node.shape)}`);
  }
  const dtype = values instanceof Int32Array ? 'i32' : 'f32';
  if (dtype !== node.dtype) throw new RangeError(`input '${name}': ${dtype} numbers; expected ${node.dtype}`);
  return node;
}

/** The elements of a node in memory. */
export const viewOf = (node: Node, memory: ArrayBufferLike, offset: number): TypedValues =>
  node.dtype === 'i32'
    ? new Int32Array(memory, offset, sizeOf(node.shape))
    : new Float32Array(memory, offset, sizeOf(node.shape));
