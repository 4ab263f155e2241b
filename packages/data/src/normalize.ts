/** Bytes to what a network takes. */

/** A table of (v / 255 - mean) / std for each byte v, as float32. */
export function normalizationTable(mean: number, std: number): Float32Array {
  return Float32Array.from({ length: 256 }, (_, value) => (value / 255 - mean) / std);
}

/** out[i] = table[pixels[i]] */
export function normalizeInto(pixels: Uint8Array, table: Float32Array, out: Float32Array): void {
  for (let i = 0; i < pixels.length; i++) out[i] = table[pixels[i]!]!;
}
