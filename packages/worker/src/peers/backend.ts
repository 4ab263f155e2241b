/** Where the backend of a worker's part of the parameter server is chosen: wasm, as the coordinator's, for the bits are the same. */
export { openUpdater } from '@kasane/tensor/backends/wasm/updater';
