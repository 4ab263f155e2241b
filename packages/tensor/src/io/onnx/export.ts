/** A trained model as an ONNX file: the inference graph, whose number of samples each run chooses. */
import { compileProgram } from '../../backends/wasm/program.ts';
import type { Node } from '../../graph.ts';
import type { NamedTensor } from '../../named-tensor.ts';
import { type Model, type ParameterSpec, parametersUsed, typeOfLayer } from '../../nn/model.ts';
import { indicesOf, OnnxGraph, type OnnxValue } from '../../onnx/graph.ts';
import { elementTypes, encodeOnnx, type OnnxNode } from '../../onnx/messages.ts';
import { OnnxError } from '../../onnx/operations.ts';
import type { Shape } from '../../shape.ts';

/** The first with LayerNormalization. */
const OPSET = 17;
/** Of the same release, ONNX 1.12. */
const IR_VERSION = 8;
const INPUT = 'input';
const OUTPUT = 'output';

export interface OnnxOptions {
  /** Kept in the file under these names. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** What the model is, for people. Default: Kasane model. */
  readonly description?: string;
  /** How numbers become input, for people: `pixels / 255, less 0.13, divided by 0.31`. */
  readonly preprocessing?: string;
}

/**
 * The file. Its input is called `input`, of the shape [batch, ...sample] in the axis order of this package (images are
 * [batch, rows, columns, channels]), float32, or int64 where every layer that reads it looks up rows by it. A model with input
 * layers has one for each, of its name and shape. The output is called `output`: what the model's last layer gives.
 * @param parameters in the model's flat layout
 * @throws RangeError when the file would exceed 2 GiB, which is more than a model of this package can have
 * @throws OnnxError naming a layer of the model's own, and its operation that ONNX has not
 */
export async function exportOnnx(
  model: Model,
  parameters: Float32Array,
  { metadata = {}, description = 'Kasane model', preprocessing }: OnnxOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  if (parameters.length !== model.parameterCount) {
    throw new RangeError(`got ${parameters.length} parameters; the model has ${model.parameterCount}`);
  }
  const named = model.layers.filter(({ part }) => part);
  const sources: readonly { readonly name: string; readonly outputShape: Shape }[] =
    named.length > 0 ? named : [{ name: INPUT, outputShape: model.sampleShape }];
  const output = sources.some(({ name }) => name === OUTPUT) ? `${OUTPUT}_2` : OUTPUT;
  const graph = new OnnxGraph([...sources.map(({ name }) => name), output], evaluate);
  const values: OnnxValue[] = [];
  const input: OnnxValue = { name: INPUT, rank: 1 + model.sampleShape.length };
  for (const layer of model.layers) {
    graph.begin(layer.name);
    const part: OnnxValue = { name: layer.name, rank: 1 + layer.outputShape.length };
    const inputs = layer.part ? [part] : layer.from.map((index) => (index < 0 ? input : values[index]!));
    const inputShapes = layer.from.map((index) =>
      index < 0 ? model.sampleShape : model.layers[index]!.outputShape,
    );
    const context = {
      options: layer.options as never,
      parameters: tensorsOf(parametersUsed(model, layer), parameters),
      inputShapes,
      outputShape: layer.outputShape,
    };
    try {
      values.push(await typeOfLayer(layer).onnx(graph, inputs, context));
    } catch (cause) {
      if (!(cause instanceof OnnxError)) throw cause;
      throw new OnnxError(`layer ${layer.name}: ${cause.message}`, { cause });
    }
  }
  graph.begin('model');
  graph.nodes.push(identity(graph.plain(values.at(-1)!), output));
  let nodes: readonly OnnxNode[] = graph.nodes;
  const inputs = sources.map(({ name, outputShape }) => {
    const resolved = withInput(nodes, name);
    nodes = resolved.nodes;
    const axes = `[batch, ${axisNames(outputShape)}]`;
    return { name, type: resolved.type, shape: ['batch', ...outputShape], description: axes };
  });
  const axes = inputs
    .map(({ name, description }) => (named.length > 0 ? `${name} ` : '') + description)
    .join(', ');
  return encodeOnnx({
    irVersion: IR_VERSION,
    opset: OPSET,
    producer: 'kasane',
    description,
    graphName: 'inference',
    nodes,
    tensors: graph.tensors,
    inputs: inputs.map((input) => ({
      ...input,
      description: preprocessing === undefined ? input.description : `${input.description}: ${preprocessing}`,
    })),
    outputs: [
      {
        name: output,
        type: 'float',
        shape: ['batch', ...model.layers.at(-1)!.outputShape],
        description: 'Output of the last layer for each sample.',
      },
    ],
    metadata: { ...metadata, 'kasane.input': axes },
  });
}

const axisNames = (shape: readonly number[]): string =>
  shape.length === 3 ? 'rows, columns, channels' : shape.length === 2 ? 'time, features' : 'numbers';

const identity = (input: string, output: string): OnnxNode => ({
  name: 'model/Identity',
  op: 'Identity',
  inputs: [input],
  outputs: [output],
  attributes: {},
});

const tensorsOf = (used: readonly ParameterSpec[], parameters: Float32Array): NamedTensor[] =>
  used.map(({ name, shape, offset, size }) => ({
    name,
    shape,
    data: parameters.subarray(offset, offset + size),
  }));

/** Makes an input int64 where only that is read, and else casts it where int64 is wanted. */
function withInput(
  nodes: readonly OnnxNode[],
  input: string,
): { nodes: readonly OnnxNode[]; type: 'float' | 'int64' } {
  const indices = indicesOf(input);
  const reads = (name: string) => nodes.some(({ inputs }) => inputs.includes(name));
  if (!reads(indices)) return { nodes, type: 'float' };
  if (reads(input)) {
    const cast: OnnxNode = {
      name: `model/Cast/${input}`,
      op: 'Cast',
      inputs: [input],
      outputs: [indices],
      attributes: { to: elementTypes.int64 },
    };
    return { nodes: [cast, ...nodes], type: 'float' };
  }
  const renamed = nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map((name) => (name === indices ? input : name)),
  }));
  return { nodes: renamed, type: 'int64' };
}

async function evaluate(node: Node): Promise<Float32Array> {
  const program = await compileProgram([node]);
  program.run();
  return Float32Array.from(program.outputs[0]!);
}
