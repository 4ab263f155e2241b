/** The backend of `backend.ts` for threads that plan or compute whole models. */
export { compileProgram } from '@kasane/tensor/backends/wasm/program';
export { sessionBytes } from '@kasane/tensor/backends/wasm/session';
