/**
 * Recurrent layers over sequences [time, features]: simple (Elman 1990), LSTM (Hochreiter and Schmidhuber 1997, with the forget
 * gate of Gers et al. 2000) and GRU (Cho et al. 2014, in the variant whose reset gate acts behind the product). The inputs of
 * all steps are multiplied at once; the graph is unrolled over time.
 */
import type { Node } from '../graph.ts';
import type { NamedTensor } from '../named-tensor.ts';
import type { OnnxGraph, OnnxValue } from '../onnx/graph.ts';
import type { Attribute } from '../onnx/messages.ts';
import { constant } from '../ops/leaf.ts';
import { matmul } from '../ops/matmul.ts';
import { flip, reshape } from '../ops/movement.ts';
import { concat, sliceAxis } from '../ops/parts.ts';
import { add, mul, sigmoid, sub, tanh } from '../ops/pointwise.ts';
import { formatShape } from '../shape.ts';
import { xavierUniform } from './initializers.ts';
import { defineLayer, type LayerAbout, LayerError, type OptionRules, type ParameterPlan } from './layer.ts';

/** What a cell knows from the step before: h, and what else it keeps. */
type State = readonly [hidden: Node, ...rest: Node[]];

interface Cell {
  /** Blocks of columns in its weights. */
  readonly gates: number;
  /** How many tensors its state has. */
  readonly states: number;
  /** Whether what a step takes of h stays apart from what it takes of the input, so that its bias can not be added to that one's. */
  readonly apart?: boolean;
  /** One step, from the products with the input and with h, biases added: [samples, gates * units] each. */
  readonly step: (fromInput: Node, fromHidden: Node, state: State, units: number) => State;
  /** The ONNX operator, and which of our gates stands where in its weights. */
  readonly onnx: {
    readonly op: string;
    readonly gates: readonly number[];
    readonly attributes?: Readonly<Record<string, Attribute>>;
  };
}

const gate = (x: Node, index: number, units: number) => sliceAxis(x, 1, index * units, units);

export const cells = {
  /** h' = tanh(x W + h U + b) */
  rnn: { gates: 1, states: 1, step: (x, h) => [tanh(add(x, h))], onnx: { op: 'RNN', gates: [0] } },
  /** Gates in the order input, forget, cell, output. */
  lstm: {
    gates: 4,
    states: 2,
    step: (x, h, [, cell], units) => {
      const sum = (index: number) => add(gate(x, index, units), gate(h, index, units));
      const [input, forget] = [sigmoid(sum(0)), sigmoid(sum(1))];
      const [candidate, output] = [tanh(sum(2)), sigmoid(sum(3))];
      const next = add(mul(forget, cell!), mul(input, candidate));
      return [mul(output, tanh(next)), next];
    },
    // ONNX has input, output, forget, cell.
    onnx: { op: 'LSTM', gates: [0, 3, 1, 2] },
  },
  /** Gates in the order reset, update, new. */
  gru: {
    gates: 3,
    states: 1,
    apart: true,
    step: (x, h, [hidden], units) => {
      const [reset, update] = [0, 1].map((i) => sigmoid(add(gate(x, i, units), gate(h, i, units)))) as [
        Node,
        Node,
      ];
      const candidate = tanh(add(gate(x, 2, units), mul(reset, gate(h, 2, units))));
      return [add(candidate, mul(update, sub(hidden, candidate)))];
    },
    // ONNX has update, reset, new.
    onnx: { op: 'GRU', gates: [1, 0, 2], attributes: { linear_before_reset: 1 } },
  },
} as const satisfies Record<string, Cell>;

/** Weights of one direction of one layer of cells. */
export interface CellWeights {
  /** [features, gates * units] */
  readonly input: Node;
  /** [units, gates * units] */
  readonly hidden: Node;
  /** [gates * units] each. */
  readonly inputBias: Node;
  readonly hiddenBias: Node;
}

/** The hidden states of all steps, [samples, units] each. x is [samples, time, features]; the first state is 0. */
export function unroll(cell: Cell, x: Node, weights: CellWeights): Node[] {
  const [samples, time] = x.shape as readonly [number, number, number];
  const units = weights.hidden.shape[0]!;
  const width = cell.gates * units;
  const ofInput = add(matmul(x, weights.input), weights.inputBias);
  // Both biases for all steps at once.
  const fromInput = cell.apart ? ofInput : add(ofInput, weights.hiddenBias);
  let state: State = [constant(0, [samples, units]), constant(0, [samples, units])];
  return Array.from({ length: time }, (_, t) => {
    const here = reshape(sliceAxis(fromInput, 1, t, 1), [samples, width]);
    const product = matmul(state[0], weights.hidden);
    const fromHidden = cell.apart ? add(product, weights.hiddenBias) : product;
    state = cell.step(here, fromHidden, state, units);
    return state[0];
  });
}

/** [samples, units] each to [samples, time, units]. */
const stack = (steps: readonly Node[]): Node =>
  concat(
    steps.map((step) => reshape(step, [step.shape[0]!, 1, step.shape[1]!])),
    1,
  );

/**
 * Columns [rows, gates * units] of several directions as ONNX has them, [directions, gates * units, rows]: transposed, the gates
 * in its order.
 */
function onnxWeights(tensors: readonly NamedTensor[], gates: readonly number[], rows: number): Float32Array {
  const width = tensors[0]!.data.length / rows;
  const units = width / gates.length;
  const result = new Float32Array(tensors.length * width * rows);
  let to = 0;
  for (const { data } of tensors) {
    for (const gate of gates) {
      for (let unit = 0; unit < units; unit++) {
        for (let row = 0; row < rows; row++) result[to++] = data[row * width + gate * units + unit]!;
      }
    }
  }
  return result;
}

/** One layer of cells, in one or both directions. @returns the states of all steps and the last ones: Y and Y_h */
function onnxCells(graph: OnnxGraph, cell: Cell, x: string, parameters: readonly NamedTensor[]): string[] {
  const { op, gates, attributes } = cell.onnx;
  const directions = parameters.length / 4;
  const each = (part: number) => parameters.filter((_, i) => i % 4 === part);
  const [units, width] = parameters[1]!.shape as readonly [number, number];
  const fanIn = parameters[0]!.shape[0]!;
  const biases = [...each(2), ...each(3)].map((bias) => onnxWeights([bias], gates, 1));
  const both = Array.from({ length: directions }, (_, i) => [
    ...biases[i]!,
    ...biases[directions + i]!,
  ]).flat();
  const prefix = parameters[0]!.name.replace(/\.[^.]*$/, '');
  const inputs = [
    x,
    graph.weight(`${prefix}.W`, [directions, width, fanIn], onnxWeights(each(0), gates, fanIn)),
    graph.weight(`${prefix}.R`, [directions, width, units], onnxWeights(each(1), gates, units)),
    graph.weight(`${prefix}.B`, [directions, 2 * width], Float32Array.from(both)),
  ];
  return graph.nodeOf(op, inputs, 2, {
    ...attributes,
    hidden_size: units,
    direction: directions === 2 ? 'bidirectional' : 'forward',
  });
}

/** As ONNX wants sequences: [time, samples, features]. */
const TIME_FIRST = [1, 0, 2];

const recurrentOptions = {
  units: { kind: 'integer', minimum: 1, maximum: 65536, describe: 'Length of the hidden state.' },
  layers: {
    kind: 'integer',
    minimum: 1,
    maximum: 16,
    default: 1,
    describe: 'Number of stacked layers.',
  },
  bidirectional: {
    kind: 'boolean',
    default: false,
    describe: 'Whether a second layer reads the sequence backwards; the outputs are concatenated.',
  },
  returns: {
    kind: 'choice',
    choices: ['last', 'sequence'],
    default: 'last',
    describe: 'Return the state after the last step, or the states of all steps.',
  },
} as const satisfies OptionRules;

/** The weights and biases of one direction of one layer, in the order in which `forward` reads them. */
const cellParameters = (prefix: string, fanIn: number, units: number, width: number): ParameterPlan[] => [
  { name: `${prefix}.input`, shape: [fanIn, width], initializer: xavierUniform(fanIn, units) },
  { name: `${prefix}.hidden`, shape: [units, width], initializer: { kind: 'orthogonal', columns: units } },
  { name: `${prefix}.inputBias`, shape: [width], initializer: { kind: 'zeros' } },
  { name: `${prefix}.hiddenBias`, shape: [width], initializer: { kind: 'zeros' } },
];

const recurrentLayer = <const T extends keyof typeof cells>(
  type: T,
  summary: string,
  about: Pick<LayerAbout, 'explains' | 'formula' | 'paper'>,
) => {
  const cell: Cell = cells[type];
  return defineLayer({
    type,
    summary,
    about: {
      ...about,
      takes: '[time, features]',
      gives: '[units], or [time, units] with returns: sequence; twice the units if bidirectional',
      example: {
        input: [24, 1],
        output: [1],
        layers: [
          { type, units: 32 },
          { type: 'dense', units: 1 },
        ],
      },
    },
    options: recurrentOptions,
    plan: (input, { units, layers, bidirectional, returns }) => {
      if (input.length !== 2)
        throw new LayerError(`expected sequences [time, features], got ${formatShape(input)}`);
      const [time, features] = input as readonly [number, number];
      const directions = bidirectional ? ['', '.reverse'] : [''];
      const parameters = Array.from({ length: layers }, (_, layer) => {
        const fanIn = layer === 0 ? features : directions.length * units;
        return directions.flatMap((direction) =>
          cellParameters(`${layer}${direction}`, fanIn, units, cell.gates * units),
        );
      }).flat();
      const size = directions.length * units;
      return { outputShape: returns === 'last' ? [size] : [time, size], parameters };
    },
    forward: (x, { options, parameters }) => {
      let sequence = x;
      let last: Node = x;
      let next = 0;
      for (let layer = 0; layer < options.layers; layer++) {
        const read = (from: Node): Node[] => {
          const [input, hidden, inputBias, hiddenBias] = parameters.slice(next) as [Node, Node, Node, Node];
          next += 4;
          return unroll(cell, from, { input, hidden, inputBias, hiddenBias });
        };
        const forwards = read(sequence);
        const backwards = options.bidirectional ? read(flip(sequence, [1])) : [];
        const ends = [forwards.at(-1)!, ...backwards.slice(-1)];
        last = ends.length > 1 ? concat(ends, 1) : ends[0]!;
        // Stacking costs a copy: the last layer does it only where it is asked for.
        if (layer === options.layers - 1 && options.returns === 'last') break;
        const all = [stack(forwards), ...(backwards.length > 0 ? [stack(backwards.reverse())] : [])];
        sequence = all.length > 1 ? concat(all, 2) : all[0]!;
      }
      return options.returns === 'last' ? last : sequence;
    },
    onnx: (graph, [x], { options, parameters, inputShapes }): OnnxValue => {
      const directions = options.bidirectional ? 2 : 1;
      const size = directions * options.units;
      const time = inputShapes[0]![0]!;
      let sequence = graph.inOrder(x!, TIME_FIRST);
      for (let layer = 0; ; layer++) {
        const own = parameters.slice(4 * directions * layer, 4 * directions * (layer + 1));
        const [all, last] = onnxCells(graph, cell, sequence, own) as [string, string];
        const final = layer === options.layers - 1;
        if (final && options.returns === 'last') {
          // [directions, samples, units]
          const samplesFirst = graph.node('Transpose', [last], { perm: [1, 0, 2] });
          return { name: graph.reshape(samplesFirst, [size]), rank: 2 };
        }
        // [time, directions, samples, units] to [time, samples, directions, units]; -1 is the samples.
        const together = graph.node('Transpose', [all], { perm: [0, 2, 1, 3] });
        sequence = graph.node('Reshape', [together, graph.integers([time, -1, size])]);
        if (final) return { name: sequence, rank: 3, order: TIME_FIRST };
      }
    },
  });
};

export const rnn = recurrentLayer('rnn', 'Simple recurrent layer over sequences [time, features].', {
  explains:
    'Reads a sequence step by step and keeps a hidden state, computed from the step and the state before. The last state is a summary of the sequence. It forgets quickly, because gradients shrink with every step; lstm and gru remember longer.',
  formula: 'h[t] = tanh(x[t] W + h[t-1] U + b), h before the first step = 0',
  paper: 'Elman 1990, Finding Structure in Time',
});
export const lstm = recurrentLayer('lstm', 'Long short-term memory over sequences [time, features].', {
  explains:
    'Reads a sequence step by step with a memory cell that gates write, erase and read. Because the cell is changed by addition, gradients survive many steps, so it learns dependencies that a simple rnn forgets. Use it for time series and text of moderate length.',
  formula:
    'i, f, o = sigmoid(x[t] W + h[t-1] U + b), g = tanh(x[t] W + h[t-1] U + b), each with its own W, U and b; c[t] = f c[t-1] + i g; h[t] = o tanh(c[t])',
  paper: 'Hochreiter and Schmidhuber 1997, Long Short-Term Memory; with the forget gate of Gers et al. 2000',
});
export const gru = recurrentLayer('gru', 'Gated recurrent units over sequences [time, features].', {
  explains:
    'Reads a sequence step by step; gates decide how much of the hidden state to keep and how much to replace. It remembers almost as well as lstm with three quarters of its parameters. Use it where lstm is too slow or the data is scarce.',
  formula:
    'r, z = sigmoid(x[t] W + h[t-1] U + b), each with its own W, U and b; n = tanh(x[t] Wn + bn + r (h[t-1] Un + cn)); h[t] = (1 - z) n + z h[t-1]',
  paper:
    'Cho et al. 2014, Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation',
});
