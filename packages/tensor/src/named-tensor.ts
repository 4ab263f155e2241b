/** A tensor outside of any graph: what weight files hold, and layers export. */
import type { Shape } from './shape.ts';

export interface NamedTensor {
  readonly name: string;
  readonly shape: Shape;
  readonly data: Float32Array;
  /** Of the tensor in its file, where another layout is used there. */
  readonly shapeInFile?: Shape;
}
