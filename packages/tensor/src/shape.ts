/** Static shapes: plain arrays of non-negative integers, row-major. */
export type Shape = readonly number[];

/** Number of elements of a shape; 1 for a scalar. */
export function sizeOf(shape: Shape): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** `[2, 3]` for messages. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((extent, i) => extent === b[i]);
}

/** The shape that all are stretched to by NumPy's rules (axes aligned at the end, size 1 stretches); undefined: none. */
export function broadcastShapes(shapes: readonly Shape[]): Shape | undefined {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const joint: number[] = new Array(rank).fill(1);
  for (const shape of shapes) {
    for (let i = 0; i < shape.length; i++) {
      const axis = rank - shape.length + i;
      const extent = shape[i]!;
      if (extent === 1) continue;
      if (joint[axis] !== 1 && joint[axis] !== extent) return undefined;
      joint[axis] = extent;
    }
  }
  return joint;
}

/** Elements to step over per axis of a row-major tensor: `[15, 5, 1]` for `[2, 3, 5]`. */
export function stridesOf(shape: Shape): number[] {
  const strides: number[] = new Array(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--) strides[i] = strides[i + 1]! * shape[i + 1]!;
  return strides;
}

/** Strides with which a tensor of `shape` is read as if it had the shape `to`: 0 on stretched axes. */
export function broadcastStrides(shape: Shape, to: Shape): number[] {
  const own = stridesOf(shape);
  const ahead = to.length - shape.length;
  return to.map((_, axis) => (axis < ahead || shape[axis - ahead] === 1 ? 0 : own[axis - ahead]!));
}
