/**
 * Rotary position embedding (Su et al. 2021): queries and keys are turned by their position, so that a product of the two depends on how far
 * apart they are. Feature i of a head is turned together with feature i + size / 2, as in Hugging Face's models.
 */
import type { Node } from '../graph.ts';
import type { OnnxGraph } from '../onnx/graph.ts';
import { constant, iota } from '../ops/leaf.ts';
import { concat, sliceAxis } from '../ops/parts.ts';
import { add, mul, sinusoid, sub } from '../ops/pointwise.ts';

/** Of each step and each pair of features the cosine and the sine of t / 10000^(2i / size): both [time, size / 2]. */
export interface Turns {
  readonly cosines: Node;
  readonly sines: Node;
}

/** @param size features of a head, an even number */
export function turnsOf(time: number, size: number): Turns {
  const step = iota([time, 1], 0);
  const even = mul(iota([1, size / 2], 1), constant(2));
  const table = (feature: Node) => sinusoid(step, feature, constant(size));
  return { sines: table(even), cosines: table(add(even, constant(1))) };
}

/** x [.., time, size], each step turned by its position. */
export function turned(x: Node, { cosines, sines }: Turns): Node {
  const [axis, half] = [x.shape.length - 1, x.shape.at(-1)! / 2];
  const [a, b] = [sliceAxis(x, axis, 0, half), sliceAxis(x, axis, half, half)];
  return concat([sub(mul(a, cosines), mul(b, sines)), add(mul(b, cosines), mul(a, sines))], axis);
}

/** The same as ONNX nodes, of many tensors. */
export async function onnxTurning(
  graph: OnnxGraph,
  time: number,
  size: number,
): Promise<(x: string) => string> {
  const { cosines, sines } = turnsOf(time, size);
  const cos = await graph.computed(cosines, `rotary cosines ${time} x ${size}`);
  const sin = await graph.computed(sines, `rotary sines ${time} x ${size}`);
  const of = (op: string, a: string, b: string) => graph.node(op, [a, b]);
  return (x) => {
    const [a, b] = graph.nodeOf('Split', [x], 2, { axis: -1 }) as [string, string];
    const first = of('Sub', of('Mul', a, cos), of('Mul', b, sin));
    const second = of('Add', of('Mul', b, cos), of('Mul', a, sin));
    return graph.node('Concat', [first, second], { axis: -1 });
  };
}
