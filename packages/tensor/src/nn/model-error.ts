/** What is wrong with a description of a model, and where. */
import { LayerError, type LayerType } from './layer.ts';

/** A description that makes no model. Names the layer as `layers[2] (dense)`. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
  /** What of the description is wrong, such as ['layers', 2]. */
  readonly path: readonly (string | number)[];

  constructor(path: ModelError['path'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.path = path;
  }
}

/** An error of one layer. */
export const layerError = (
  index: number,
  { type }: Pick<LayerType, 'type'>,
  what: string,
  options?: ErrorOptions,
): ModelError => new ModelError(['layers', index], `layers[${index}] (${type}): ${what}`, options);

/** Says of a layer's error which layer it is. */
export function within<T>(index: number, type: LayerType, body: () => T): T {
  try {
    return body();
  } catch (cause) {
    if (cause instanceof LayerError) throw layerError(index, type, cause.message, { cause });
    throw cause;
  }
}
