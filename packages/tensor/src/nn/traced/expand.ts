/** A checked graph as nodes of a program, made by the operations themselves: their rules of shapes and types hold here as anywhere. */
import type { Node } from '../../graph.ts';
import { opNamed } from '../../ops/index.ts';
import { constant } from '../../ops/leaf.ts';
import { detach } from '../../ops/movement.ts';
import { apply, OpError } from '../../ops/op.ts';
import { formatShape, sameShape } from '../../shape.ts';
import { dropped, NORMAL_NODES, normalNoise } from '../dropout.ts';
import { type ForwardContext, LayerError } from '../layer.ts';
import type { AttributesFor } from './attributes.ts';
import { MOST_AXES } from './format.ts';

/** A node whose attributes have been checked. */
export interface CheckedNode {
  readonly op: string;
  readonly inputs: readonly number[];
  readonly attributes: AttributesFor;
}

export interface Expansion extends Pick<ForwardContext, 'index' | 'random' | 'report'> {
  readonly samples: number;
  /** Values in front of the parameters. */
  readonly inputs: number;
  /** True: only shapes and types are of interest, so that noise, which is made of a hundred operations, is one. */
  readonly isTrial?: boolean;
}

/** How many operations become of a node, about. */
export const expansionOf = ({ op }: CheckedNode): number => (op === 'normal' ? NORMAL_NODES : 1);

/** A node of a graph that an operation refuses. */
export class GraphError extends LayerError {
  override readonly name = 'GraphError';
  /** Of the node, in its list. */
  readonly index: number;

  constructor(index: number, op: string, message: string, options?: ErrorOptions) {
    super(`nodes[${index}] (${op.slice(0, 64)}): ${message}`, options);
    this.index = index;
  }
}

/**
 * All values of a graph.
 * @param leaves inputs and parameters
 * @throws GraphError when an operation refuses what it is given
 */
export function expand(nodes: readonly CheckedNode[], leaves: readonly Node[], into: Expansion): Node[] {
  const values = [...leaves];
  for (const [index, node] of nodes.entries()) {
    try {
      const value = makeValue(node, values, into);
      if (value.shape.length > MOST_AXES || value.shape.some((extent) => extent < 1))
        throw new LayerError(
          `gives ${formatShape(value.shape)}; expected at most ${MOST_AXES} axes, none of them empty`,
        );
      values.push(value);
    } catch (cause) {
      if (!(cause instanceof OpError || cause instanceof LayerError)) throw cause;
      throw new GraphError(index, node.op, cause.message, { cause });
    }
  }
  return values;
}

function makeValue({ op, inputs, attributes }: CheckedNode, values: readonly Node[], into: Expansion): Node {
  const given = inputs.map((at) => values[at]!);
  const stated = attributes(into.samples) as Readonly<Record<string, number>>;
  switch (op) {
    case 'dropout':
      return dropped(samplesOf(op, given, into), rateOf(stated.rate!), into, stated.stream);
    case 'normal': {
      const { shape } = stated as unknown as { shape: readonly number[] };
      if (given.length > 0 || shape[0] !== into.samples)
        throw new LayerError(
          `shape is ${formatShape(shape)}; expected no inputs, and the number of samples first`,
        );
      return into.random && !into.isTrial
        ? normalNoise(shape, into.random, into.index, stated.stream!)
        : constant(0, shape);
    }
    case 'phase': {
      const [training, otherwise] = alike(op, given);
      return into.random ? training : otherwise;
    }
    case 'statistic': {
      const [value, parameter] = alike(op, given);
      if (!into.random) return parameter;
      into.report(inputs[1]! - into.inputs, detach(value));
      return value;
    }
    default:
      return apply(opNamed(op), given, stated);
  }
}

function rateOf(rate: number): number {
  if (rate >= 0 && rate < 1) return rate;
  throw new LayerError(`rate is ${rate}; expected a number from 0 to less than 1`);
}

function samplesOf(op: string, given: readonly Node[], { samples }: Expansion): Node {
  const [x] = given;
  if (x && given.length === 1 && x.dtype === 'f32' && x.shape[0] === samples) return x;
  throw new LayerError(`${op} takes one f32 value whose first axis is the samples`);
}

function alike(op: string, given: readonly Node[]): readonly [Node, Node] {
  const [a, b] = given;
  if (a && b && given.length === 2 && a.dtype === b.dtype && sameShape(a.shape, b.shape)) return [a, b];
  throw new LayerError(`${op} takes two values of one shape`);
}
