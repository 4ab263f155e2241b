/**
 * Gradients as a transformation of graphs: walks from an output to the leaves and asks each operation's rule. No operation
 * is known here by name; what is used to add contributions up and to undo broadcasting are ordinary nodes.
 */
import { type Node, topologicalOrder, withOrigin } from './graph.ts';
import { opNamed } from './ops/index.ts';
import { constant } from './ops/leaf.ts';
import { reshape } from './ops/movement.ts';
import { sumOfParts } from './ops/parts.ts';
import { sum } from './ops/reduce.ts';
import { broadcastShapes, formatShape, type Shape, sameShape } from './shape.ts';

/** A gradient that was asked for and cannot be, or a rule that broke its contract. */
export class GradientError extends Error {
  override readonly name = 'GradientError';
}

/**
 * The gradient of the sum of `output`'s elements with respect to each node of `wrt`, with its shape. Zero where `output`
 * does not depend on it, or only through operations that count as constant.
 * @param standIn what rules read in place of a node, of the same value; see `recompute.ts`. Default: the node
 */
export function gradients(
  output: Node,
  wrt: readonly Node[],
  standIn: (node: Node) => Node = (node) => node,
): Node[] {
  return withOrigin({ pass: 'backward' }, () => walkBack(output, wrt, standIn));
}

function walkBack(output: Node, wrt: readonly Node[], standIn: (node: Node) => Node): Node[] {
  for (const node of [output, ...wrt]) {
    if (node.dtype !== 'f32')
      throw new GradientError(`gradient of or by node ${node.id} ('${node.op}'): it is ${node.dtype}`);
  }
  const order = topologicalOrder([output]);
  const depends = new Set<Node>(wrt);
  for (const node of order) {
    if (node.inputs.some((input) => depends.has(input)) && !('none' in opNamed(node.op).gradient))
      depends.add(node);
  }
  /** What has come to a node so far. It is added up when the node's turn comes: then all its users have had theirs. */
  const parts = new Map<Node, Node[]>([[output, [constant(1, output.shape)]]]);
  const totals = new Map<Node, Node>();
  const total = (node: Node): Node | undefined => {
    const known = totals.get(node);
    const own = parts.get(node);
    if (known || !own) return known;
    const made = withOrigin({ layer: node.origin.layer }, () => sumOfParts(own));
    totals.set(node, made);
    return made;
  };
  for (const node of order.reverse()) {
    const rule = opNamed(node.op).gradient;
    if ('none' in rule || !node.inputs.some((input) => depends.has(input))) continue;
    const gradient = total(node);
    if (!gradient) continue;
    const { layer } = node.origin;
    const contributions = withOrigin({ layer }, () => rule(standIn(node), gradient));
    if (contributions.length !== node.inputs.length) {
      throw new GradientError(
        `gradient rule of '${node.op}' returned ${contributions.length} gradients for ${node.inputs.length} inputs`,
      );
    }
    node.inputs.forEach((input, i) => {
      const contribution = contributions[i];
      if (!contribution || !depends.has(input)) return;
      const before = parts.get(input);
      const fitted = withOrigin({ layer }, () => fit(node, i, contribution));
      if (before) before.push(fitted);
      else parts.set(input, [fitted]);
    });
  }
  return wrt.map((node) => total(node) ?? constant(0, node.shape));
}

/** Checks what a rule returned, and sums it back to the input's shape where the operation broadcasts. */
function fit(node: Node, index: number, gradient: Node): Node {
  const input = node.inputs[index]!;
  if (gradient.dtype === 'f32') {
    if (sameShape(gradient.shape, input.shape)) return gradient;
    const joint = broadcastShapes([gradient.shape, input.shape]);
    if (opNamed(node.op).broadcasts && joint && sameShape(joint, gradient.shape)) {
      return unbroadcast(gradient, input.shape);
    }
  }
  throw new GradientError(
    `gradient rule of '${node.op}', input ${index}: returned ${gradient.dtype} ${formatShape(gradient.shape)}, ` +
      `expected f32 ${formatShape(input.shape)}`,
  );
}

/** Sums over the axes along which `shape` was stretched to the gradient's. */
function unbroadcast(gradient: Node, shape: Shape): Node {
  const ahead = gradient.shape.length - shape.length;
  const axes = gradient.shape.flatMap((extent, axis) =>
    axis < ahead || (shape[axis - ahead] === 1 && extent !== 1) ? [axis] : [],
  );
  const summed = sum(gradient, axes);
  return sameShape(summed.shape, shape) ? summed : reshape(summed, shape);
}
