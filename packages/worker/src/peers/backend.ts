/** Where the backend of a worker's part of the parameter server, and of what is rounded, is chosen: wasm, as the coordinator's, for the bits are the same. */

export { openUpdater } from '@kasane/tensor/backends/wasm/updater';
export { type GradientRounder, openRounder } from '@kasane/tensor/internal/backends/wasm/rounding';
