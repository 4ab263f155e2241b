/**
 * Where the coordinator's backend is chosen: wasm, on the CPU that it has, for the bits are the same on every machine. What compiles whole
 * models is in `model-backend.ts`, for threads: the coordinator itself updates parameters, and starts sooner without it.
 */

export { openUpdater } from '@kasane/tensor/backends/wasm/updater';
export { WASM_BYTES } from '@kasane/tensor/internal/backends/wasm/memory';
