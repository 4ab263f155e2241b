/** A batch for networks of six inputs and three classes. */
export const samples = 5;
export const request = { mode: 'train', samples } as const;
export const inputs = {
  x: Float32Array.from({ length: 6 * samples }, (_, index) => Math.sin(index)),
  target: Int32Array.of(0, 1, 2, 1, 0),
  ids: Uint32Array.of(10, 11, 12, 13, 70_000),
  key: Uint32Array.of(1, 0, 2, 0),
};
