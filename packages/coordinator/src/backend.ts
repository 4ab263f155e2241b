/**
 * The coordinator's backend: wasm on the CPU, which gives the same bits on every machine. Compiling whole models is left to threads
 * (`model-backend.ts`): the coordinator itself only updates parameters, and starts faster without the compiler.
 */

export { openUpdater } from '@kasane/tensor/backends/wasm/updater';
export { WASM_BYTES } from '@kasane/tensor/internal/backends/wasm/memory';
