/** Models written in TypeScript: the compiler knows every layer's options, and what comes out is what a job file would say. */
import type { LayerTypeName, layerTypes } from './index.ts';
import type { DescriptionOf, LayerType } from './layer.ts';
import { buildModel, type LayerDescription, type Model, type ModelDescription } from './model.ts';

/** What `layer` takes besides the type: the layer's own options, `name` and `from`. */
export type LayerOptions<T extends LayerTypeName> =
  (typeof layerTypes)[T] extends LayerType<infer U, infer O> ? Omit<DescriptionOf<U, O>, 'type'> : never;

/** Options may be left out where the layer needs none. */
type OptionArguments<T extends LayerTypeName> =
  Partial<LayerOptions<T>> extends LayerOptions<T> ? [options?: LayerOptions<T>] : [options: LayerOptions<T>];

/**
 * A model layer by layer, input side first. Each call returns a new builder, so that models may share a stem.
 *
 *     const model = sequential([28, 28, 1]).layer('conv2d', { filters: 8, size: 3 }).layer('relu')....build(10);
 */
export class ModelBuilder {
  readonly #input: readonly number[] | undefined;
  readonly #layers: readonly LayerDescription[];

  constructor(input?: readonly number[], layers: readonly LayerDescription[] = []) {
    this.#input = input;
    this.#layers = layers;
  }

  /** Adds a layer, which reads the one before it unless `from` names others. */
  layer<T extends LayerTypeName>(type: T, ...[options]: OptionArguments<T>): ModelBuilder {
    const description = { type, ...(options as object | undefined) } as unknown as LayerDescription;
    return new ModelBuilder(this.#input, [...this.#layers, description]);
  }

  /** The model as data, as a job file has it. @param output number of classes, or the shape of another output */
  describe(output: number | readonly number[]): ModelDescription {
    const stated = typeof output === 'number' ? { classes: output } : { output };
    return { ...(this.#input && { input: this.#input }), ...stated, layers: this.#layers };
  }

  /** @throws ModelError naming the layer that does not fit */
  build(output: number | readonly number[]): Model {
    return buildModel(this.describe(output));
  }
}

/** Begins a model whose samples have this shape. */
export const sequential = (input: readonly number[]): ModelBuilder => new ModelBuilder(input);

/**
 * Begins a model with several inputs: layers of the type `input` name them.
 *
 *     graph().layer('input', { name: 'left', shape: [3] }).layer('input', { name: 'right', shape: [2] })
 *       .layer('concat', { from: ['left', 'right'] })....build(10);
 */
export const graph = (): ModelBuilder => new ModelBuilder();
