/**
 * A trained network in the page: computed by @kasane/tensor on WebAssembly, from a model file of the coordinator. This module and
 * what it imports are loaded when the first network is looked into, not before.
 */
import { compileProgram, type GraphProgram } from '@kasane/tensor/backends/wasm/program';
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
}

export class Network {
  readonly model: Model;
  readonly about: AboutModel;
  readonly parameters: Float32Array;
  readonly #program: GraphProgram;
  readonly #attending: readonly Attending[];

  /** @throws SafetensorsError or ModelError when the file is damaged */
  static async open(file: Uint8Array): Promise<Network> {
    const { model, parameters, about } = decodeModelFile(file);
    const leaves = model.parameters.map(({ name, shape }) => parameter(name, shape));
    const { outputs } = forward(model, input('x', [1, ...model.sampleShape]), leaves, undefined);
    const attending = attentionOf(outputs);
    const program = await compileProgram([...outputs, ...attending.map(({ weights }) => weights)]);
    for (const { name, offset, size } of model.parameters) {
      program.inputs[name]!.set(parameters.subarray(offset, offset + size));
    }
    return new Network(model, about, parameters, program, attending);
  }

  private constructor(
    model: Model,
    about: AboutModel,
    parameters: Float32Array,
    program: GraphProgram,
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
    const { length } = this.model.layers;
    return {
      outputs: all.slice(0, length),
      attention: new Map(
        this.#attending.map(({ layer, heads, time }, index) => [
          layer,
          { values: all[length + index]!, heads, time },
        ]),
      ),
    };
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

/** What each attending layer multiplies its values with: a product whose first factor is [samples, heads, time, time]. */
function attentionOf(outputs: readonly Node[]) {
  return topologicalOrder(outputs).flatMap((node) => {
    const [weights, values] = node.inputs;
    if (node.op !== 'matmul' || !weights || !values || !node.origin) return [];
    const [, heads, time, also] = weights.shape;
    // Scores are the product of [.., time, size] and its transpose; what is mixed is [.., time, size] as well.
    const mixes =
      weights.shape.length === 4 &&
      time === also &&
      weights.op !== 'transpose' &&
      node.shape.at(-1) === values.shape.at(-1);
    return mixes ? [{ layer: node.origin.layer, heads: heads!, time: time!, weights }] : [];
  });
}
