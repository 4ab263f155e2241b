/** Numbers without a pattern that matters: in [-0.5, 0.5), or whole ones below a bound. */
export function fill(array: Float32Array | Int32Array, below?: number): void {
  for (let i = 0; i < array.length; i++)
    array[i] = below ? (i * 7919) % below : ((i * 7919) % 1009) / 1009 - 0.5;
}
