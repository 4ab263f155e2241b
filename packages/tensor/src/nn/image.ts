/** Checks of layers that take images. */
import { formatShape, type Shape } from '../shape.ts';
import { LayerError } from './layer.ts';

/** Rows, columns and channels of a sample. */
export function imageOf(input: Shape): readonly [number, number, number] {
  if (input.length !== 3) {
    throw new LayerError(
      `expected images [rows, columns, channels], got ${formatShape(input)}: change the input of the model, or add a reshape layer before it`,
    );
  }
  return input as unknown as readonly [number, number, number];
}
