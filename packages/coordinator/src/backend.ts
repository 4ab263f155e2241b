/** Where the coordinator's backend is chosen: wasm, on the CPU that it has, for the bits are the same on every machine. */
export { compileProgram } from '@kasane/tensor/backends/wasm/program';
export { sessionBytes, WASM_BYTES } from '@kasane/tensor/backends/wasm/session';
export { openUpdater } from '@kasane/tensor/backends/wasm/updater';
