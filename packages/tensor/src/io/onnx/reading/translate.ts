/** From the nodes of a file to values, one after another. What depends on nothing but known numbers is computed at once. */
import { evaluateGraph } from '../../../backends/reference/run.ts';
import { type Node, topologicalOrder } from '../../../graph.ts';
import { flopsOf } from '../../../nn/flops.ts';
import { LayerError } from '../../../nn/layer.ts';
import { constant, input } from '../../../ops/leaf.ts';
import { OpError } from '../../../ops/op.ts';
import { sizeOf } from '../../../shape.ts';
import { type Home, isWeight, NodeContext, type Translator } from './context.ts';
import { type FileNode, isStandard } from './file.ts';
import { imageTranslators } from './images.ts';
import { movementTranslators } from './movement.ts';
import { normTranslators } from './norms.ts';
import { pointwiseTranslators } from './pointwise.ts';
import { recurrentTranslators } from './recurrent.ts';
import { reductionTranslators } from './reductions.ts';
import { shapeTranslators } from './shapes.ts';
import { type Known, plainNode, UnsupportedError, type Value } from './values.ts';

const translators: ReadonlyMap<string, Translator> = new Map<string, Translator>(
  Object.entries({
    ...pointwiseTranslators,
    ...reductionTranslators,
    ...movementTranslators,
    ...shapeTranslators,
    ...imageTranslators,
    ...normTranslators,
    ...recurrentTranslators,
  }),
);

/** Operations of the standard that are translated, by name. */
export const translatedOperations: readonly string[] = [...translators.keys()].sort();

/** Versions of the standard operators that are read. */
export const OPSETS = { least: 13, most: 21 } as const;

/** Work that is done on known numbers before there is a model: numbers made and operations, over the whole file. */
const MOST_WORK = 1 << 26;

/** Nodes of ours that those of a file become: some become many. */
const MOST_MADE = 200_000;

/** What is left of that work. */
export interface Budget {
  left: number;
  nodes: number;
}

export const newBudget = (): Budget => ({ left: MOST_WORK, nodes: MOST_MADE });

/** A calculation: known numbers are leaves, and nothing is trained. */
export class Calculation implements Home {
  readonly samples = undefined;
  readonly isSingle = false;
  readonly #feeds: Record<string, ArrayLike<number>> = {};
  #leaves = 0;

  lift({ shape, numbers }: Known): Node {
    const name = `known${this.#leaves++}`;
    this.#feeds[name] = numbers;
    return input(name, shape);
  }

  statistic(value: Known): Node {
    return this.lift(value);
  }

  dropout(x: Node): Node {
    return x;
  }

  whenTraining(_: Node, otherwise: Node): Node {
    return otherwise;
  }

  layer(): undefined {}

  /** @throws UnsupportedError where it would take too long */
  evaluate(value: Value, budget: Budget): Known {
    if (value.kind === 'known') return value;
    const node = plainNode(value);
    budget.left -= topologicalOrder([node]).reduce(
      (work, each) => work + sizeOf(each.shape) + flopsOf(each),
      0,
    );
    if (!(budget.left >= 0)) throw new UnsupportedError('takes part in too much computing before training');
    const [numbers] = evaluateGraph([node], this.#feeds);
    return { kind: 'known', type: value.type, shape: node.shape, numbers: numbers! };
  }
}

/** A node that no model here can have. The message names operation, node and reason. */
export class OnnxNodeError extends UnsupportedError {
  readonly op: string;

  constructor(node: FileNode, index: number, why: string, options?: ErrorOptions) {
    const name = node.name === '' ? `node ${index}` : `node ${JSON.stringify(node.name.slice(0, 200))}`;
    super(`${node.op.slice(0, 64)} (${name}): ${why}`);
    if (options?.cause !== undefined) this.cause = options.cause;
    this.op = node.op;
  }
}

/**
 * The values that a node gives, by their place among its outputs; those that nobody can have are left out.
 * @throws OnnxNodeError
 */
export function translateNode(
  node: FileNode,
  index: number,
  inputs: readonly (Value | undefined)[],
  { opset, home, budget }: { readonly opset: number; readonly home: Home; readonly budget: Budget },
): readonly Value[] {
  const translator = isStandard(node.domain) ? translators.get(node.op) : undefined;
  if (!translator) throw new OnnxNodeError(node, index, whyUnknown(node));
  const isKnown = inputs.every((value) => !value || (value.kind === 'known' && !isWeight(value)));
  const calculation = new Calculation();
  const context = new NodeContext(node, inputs, opset, isKnown ? calculation : home);
  try {
    const { id } = constant(0);
    const values = [translator(context)].flat() as Value[];
    budget.nodes -= constant(0).id - id;
    if (budget.nodes < 0)
      throw new UnsupportedError(`makes the model one of more than ${MOST_MADE} operations`);
    return isKnown ? values.map((value) => calculation.evaluate(value, budget)) : values;
  } catch (cause) {
    const isTyped =
      cause instanceof UnsupportedError || cause instanceof OpError || cause instanceof LayerError;
    if (!isTyped) throw cause;
    const hint = home.isSingle
      ? '. The file is for a batch of 1, in which samples cannot always be told apart: export it with a batch that is left open (dynamic_axes)'
      : '';
    throw new OnnxNodeError(node, index, `${cause.message}${hint}`, { cause });
  }
}

function whyUnknown({ domain }: FileNode): string {
  if (!isStandard(domain))
    return `operations of ${domain.slice(0, 64)} are not supported, only those of the standard`;
  return 'this operation is not supported';
}
