/** Recurrent cells, unrolled over time as the layers of this package are. Their weights come in the layout of those layers. */
import type { Node } from '../../../graph.ts';
import { cells, unroll } from '../../../nn/recurrent.ts';
import { flip, reshape, transpose } from '../../../ops/movement.ts';
import { concat, sliceAxis } from '../../../ops/parts.ts';
import { formatShape } from '../../../shape.ts';
import { type GivenLayer, type NodeContext, refuse, type Translator } from './context.ts';
import { arranged, computed, derived, type Known, known, plainNode, shapeOf, type Value } from './values.ts';

type Cell = (typeof cells)[keyof typeof cells];

/** Each becomes a dozen operations. */
const MOST_STEPS = 2000;

/** Activations that a direction has without saying so. */
const usual = { RNN: ['Tanh'], LSTM: ['Sigmoid', 'Tanh', 'Tanh'], GRU: ['Sigmoid', 'Tanh'] } as const;

/**
 * Weights [directions, gates * units, columns] of one direction as ours: [columns, gates * units], the gates in our order.
 * @param from where in the file's columns they begin, in gates: biases of both products are one behind the other
 */
function cellWeight(value: Known, direction: number, gates: readonly number[], from: number): Known {
  return derived(value, `cell ${direction} ${from} ${gates}`, () => {
    const isBias = value.shape.length === 2;
    const columns = isBias ? 1 : value.shape[2]!;
    const all = value.shape[1]! / (isBias ? 2 : 1);
    const units = all / gates.length;
    const numbers = new Float32Array(all * columns);
    const offset = direction * value.shape[1]! * columns + from * all * columns;
    for (const [place, gate] of gates.entries())
      for (let unit = 0; unit < units; unit++)
        for (let column = 0; column < columns; column++)
          numbers[column * all + gate * units + unit] =
            value.numbers[offset + (place * units + unit) * columns + column]!;
    return { shape: isBias ? [all] : [columns, all], numbers };
  });
}

/** The same of weights that are computed of others, such as parts of one matrix. */
function computedWeight(value: Node, direction: number, gates: readonly number[], from: number): Node {
  const isBias = value.shape.length === 2;
  const all = value.shape[1]! / (isBias ? 2 : 1);
  const units = all / gates.length;
  const own = sliceAxis(sliceAxis(value, 0, direction, 1), 1, from * all, all);
  // Gate g is where the file has its place.
  const ordered = gates.map((_, gate) => sliceAxis(own, 1, gates.indexOf(gate) * units, units));
  const joint = ordered.length > 1 ? concat(ordered, 1) : ordered[0]!;
  return isBias ? reshape(joint, [all]) : transpose(reshape(joint, [all, value.shape[2]!]));
}

/** Whether a value is 0 everywhere: where a sequence begins. */
function isZero(value: Value): boolean {
  if (value.kind === 'known') return value.numbers.every((each) => each === 0);
  let node: Node | undefined = value.node;
  while (node && ['broadcast', 'reshape', 'transpose'].includes(node.op)) node = node.inputs[0];
  return node?.op === 'constant' && node.attributes.value === 0;
}

function checkPlain(c: NodeContext, op: keyof typeof usual, directions: number, time: number): void {
  const activations = c.texts('activations') ?? [];
  const expected = Array.from({ length: directions }, () => usual[op]).flat();
  if (activations.length > 0 && String(activations) !== String(expected))
    refuse(`has the activations ${activations.slice(0, 6).join(', ')}; expected ${expected.join(', ')}`);
  if (c.hasAttribute('clip')) refuse('with clip is not supported');
  if (op === 'LSTM' && c.number('input_forget', 0) !== 0) refuse('with input_forget is not supported');
  if (op === 'GRU' && c.number('linear_before_reset', 0) !== 1)
    refuse('with linear_before_reset 0 is not supported; 1, which PyTorch writes, is');
  const lengths = c.has(4) ? c.known(4, 'the lengths of sequences') : undefined;
  if (lengths?.numbers.some((length) => length !== time))
    refuse('with sequences of different lengths is not supported');
  for (const index of [5, 6])
    if (c.has(index) && !isZero(c.value(index))) refuse('with a first state other than 0 is not supported');
  if (c.has(7)) refuse('with peepholes is not supported');
}

const recurrent =
  (op: keyof typeof usual, cell: Cell): Translator =>
  (c) => {
    const isBatchFirst = c.number('layout', 0) === 1;
    const given = c.node(0);
    if (given.shape.length !== 3) return refuse(`expects sequences, got ${formatShape(given.shape)}`);
    const x = isBatchFirst ? given : arranged(given, [1, 0, 2]);
    const [samples, time] = x.shape as readonly [number, number, number];
    if (time > MOST_STEPS) return refuse(`over ${time} steps; at most ${MOST_STEPS} are supported`);
    const direction = c.text('direction', 'forward');
    const directions = direction === 'bidirectional' ? 2 : 1;
    checkPlain(c, op, directions, time);
    const [input, hidden] = [c.value(1), c.value(2)];
    const units = shapeOf(hidden)[2] ?? 0;
    const width = cell.gates * units;
    const bias = c.has(3)
      ? c.value(3)
      : known('float', [directions, 2 * width], new Float32Array(2 * directions * width));
    const shapes = [input, hidden, bias].map((value) => formatShape(shapeOf(value))).join(' ');
    const columns = x.shape[2]!;
    if (
      shapes !==
      `[${directions}, ${width}, ${columns}] [${directions}, ${width}, ${units}] [${directions}, ${2 * width}]`
    )
      return refuse(`has weights and biases ${shapes}, which do not fit ${formatShape(given.shape)}`);
    const gates = cell.onnx.gates;
    const layer = layerOf(cell.onnx.op, units, direction, [input, hidden, bias], gates);
    const made = layer && c.home.layer(layer, direction === 'reverse' ? flip(x, [1]) : x);
    const steps = made
      ? reshape(made, [samples, time, directions, units])
      : unrolled(c, cell, x, { direction, weights: [input, hidden, bias] });
    // Of the other direction the last step is the first.
    const isTurned = direction === 'reverse';
    const all = isTurned && made ? flip(steps, [1]) : steps;
    const ends = Array.from({ length: directions }, (_, i) => {
      const own = sliceAxis(all, 2, i, 1);
      return reshape(sliceAxis(own, 1, isTurned || i === 1 ? 0 : time - 1, 1), [samples, 1, units]);
    });
    const last = joined(ends, 1);
    return [
      computed(arranged(all, isBatchFirst ? [0, 1, 2, 3] : [1, 2, 0, 3])),
      computed(isBatchFirst ? last : arranged(last, [1, 0, 2])),
    ];
  };

/** The layer that has these weights; undefined: they are computed. */
function layerOf(
  op: string,
  units: number,
  direction: string,
  values: readonly Value[],
  gates: readonly number[],
): GivenLayer | undefined {
  const [input, hidden, bias] = values as readonly [Value, Value, Value];
  if (input.kind !== 'known' || hidden.kind !== 'known' || bias.kind !== 'known') return undefined;
  const isBidirectional = direction === 'bidirectional';
  const weights = (isBidirectional ? ['0', '0.reverse'] : ['0']).flatMap((prefix, i) => [
    [`${prefix}.input`, cellWeight(input, i, gates, 0)],
    [`${prefix}.hidden`, cellWeight(hidden, i, gates, 0)],
    [`${prefix}.inputBias`, cellWeight(bias, i, gates, 0)],
    [`${prefix}.hiddenBias`, cellWeight(bias, i, gates, 1)],
  ]);
  const options = { units, bidirectional: isBidirectional, returns: 'sequence' };
  return { type: op.toLowerCase() as GivenLayer['type'], options, weights: Object.fromEntries(weights) };
}

/** All steps as operations: [samples, time, directions, units]. */
function unrolled(
  c: NodeContext,
  cell: Cell,
  x: Node,
  {
    direction,
    weights: [input, hidden, bias],
  }: { readonly direction: string; readonly weights: readonly [Value, Value, Value] },
): Node {
  const { gates } = cell.onnx;
  const directions = direction === 'bidirectional' ? 2 : 1;
  const all = Array.from({ length: directions }, (_, i) => {
    const suffix = i === 1 ? 'Reverse' : '';
    const lift = (value: Value, from: number, role: string) =>
      value.kind === 'known'
        ? c.home.lift(cellWeight(value, i, gates, from), `${role}${suffix}`, true)
        : computedWeight(plainNode(value), i, gates, from);
    const isReverse = direction === 'reverse' || i === 1;
    const steps = unroll(cell, isReverse ? flip(x, [1]) : x, {
      input: lift(input, 0, 'input'),
      hidden: lift(hidden, 0, 'hidden'),
      inputBias: lift(bias, 0, 'inputBias'),
      hiddenBias: lift(bias, 1, 'hiddenBias'),
    });
    const ordered = isReverse ? steps.toReversed() : steps;
    return joined(
      ordered.map((step) => reshape(step, [step.shape[0]!, 1, 1, step.shape[1]!])),
      1,
    );
  });
  return joined(all, 2);
}

const joined = (nodes: readonly Node[], axis: number): Node =>
  nodes.length > 1 ? concat(nodes, axis) : nodes[0]!;

export const recurrentTranslators = {
  RNN: recurrent('RNN', cells.rnn),
  LSTM: recurrent('LSTM', cells.lstm),
  GRU: recurrent('GRU', cells.gru),
} as const satisfies Readonly<Record<string, Translator>>;
