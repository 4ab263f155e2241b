/**
 * A trained network in the page: computed by @kasane/tensor on WebAssembly, from a model file of the coordinator. This module and
 * what it imports are loaded when the first network is looked into, not before.
 */
import { compileProgram, type WasmGraph } from '@kasane/tensor/backends/wasm/program';
import { type Node, topologicalOrder } from '@kasane/tensor/graph';
import { type AboutModel, decodeModelFile } from '@kasane/tensor/io/model-file';
import { forward, type Model } from '@kasane/tensor/nn/model';
import { input, parameter } from '@kasane/tensor/ops/leaf';

/** What was computed for one sample. Views: the next run overwrites them. */
export interface Activity {
  /** Of each layer, in order. */
  readonly outputs: readonly Float32Array[];
  /** Attention of layers that attend, by name: [heads, time, time]. */
  readonly attention: ReadonlyMap<
    string,
    { readonly values: Float32Array; readonly heads: number; readonly time: number }
  >;
}

interface Attending {
  readonly layer: string;
  readonly heads: number;
  readonly time: number;
  /** Its weights, rows after rows. */
  readonly blocks: readonly Node[];
}

export class Network {
  readonly model: Model;
  readonly about: AboutModel;
  readonly parameters: Float32Array;
  readonly #program: WasmGraph;
  readonly #attending: readonly Attending[];

  /** @throws SafetensorsError or ModelError when the file is damaged */
  static async open(file: Uint8Array): Promise<Network> {
    const { model, parameters, about } = decodeModelFile(file);
    const leaves = model.parameters.map(({ name, shape }) => parameter(name, shape));
    const { outputs } = forward(model, input('x', [1, ...model.sampleShape]), leaves, undefined);
    const attending = attentionOf(outputs);
    const program = await compileProgram([...outputs, ...attending.flatMap(({ blocks }) => blocks)]);
    for (const { name, offset, size } of model.parameters) {
      program.inputs[name]!.set(parameters.subarray(offset, offset + size));
    }
    return new Network(model, about, parameters, program, attending);
  }

  private constructor(
    model: Model,
    about: AboutModel,
    parameters: Float32Array,
    program: WasmGraph,
    attending: readonly Attending[],
  ) {
    this.model = model;
    this.about = about;
    this.parameters = parameters;
    this.#program = program;
    this.#attending = attending;
  }

  /** @param x one sample as the network takes it */
  run(x: Float32Array): Activity {
    this.#program.inputs.x!.set(x);
    this.#program.run();
    const all = this.#program.outputs as readonly Float32Array[];
    let next = this.model.layers.length;
    const attention = this.#attending.map((one) => {
      const parts = all.slice(next, next + one.blocks.length);
      next += parts.length;
      return [one.layer, { values: together(one, parts), heads: one.heads, time: one.time }] as const;
    });
    return { outputs: all.slice(0, this.model.layers.length), attention: new Map(attention) };
  }

  /** The values of a parameter, such as conv2d1.weight. */
  parameter(name: string): { readonly values: Float32Array; readonly shape: readonly number[] } | undefined {
    const found = this.model.parameters.find((one) => one.name === name);
    return (
      found && {
        values: this.parameters.subarray(found.offset, found.offset + found.size),
        shape: found.shape,
      }
    );
  }
}

/**
 * What attending layers multiply their values with: products whose first factor is [samples, heads, rows, seen]. Causal attention
 * comes in blocks of rows, each of which sees the steps up to its last one.
 */
function attentionOf(outputs: readonly Node[]): Attending[] {
  const found = new Map<string, Node[]>();
  for (const node of topologicalOrder(outputs)) {
    const [weights, values] = node.inputs;
    // Scores are a product with a transposed second factor; what is mixed is not.
    if (node.op !== 'matmul' || weights?.shape.length !== 4 || !values || node.attributes.transposeB)
      continue;
    found.set(node.origin.layer, [...(found.get(node.origin.layer) ?? []), weights]);
  }
  return [...found].map(([layer, blocks]) => {
    const ordered = [...blocks].sort((a, b) => a.id - b.id);
    const time = ordered.reduce((sum, { shape }) => sum + shape[2]!, 0);
    return { layer, heads: ordered[0]!.shape[1]!, time, blocks: ordered };
  });
}

/** The blocks of a layer as one map a head, [heads, time, time]: 0 where nothing is seen. */
function together({ heads, time, blocks }: Attending, parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(heads * time * time);
  let start = 0;
  for (const [index, { shape }] of blocks.entries()) {
    const [, , rows, seen] = shape as readonly [number, number, number, number];
    for (let head = 0; head < heads; head++) {
      for (let row = 0; row < rows; row++) {
        const from = (head * rows + row) * seen;
        whole.set(parts[index]!.subarray(from, from + seen), (head * time + start + row) * time);
      }
    }
    start += rows;
  }
  return whole;
}
