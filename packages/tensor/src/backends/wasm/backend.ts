/** WebAssembly SIMD, on any CPU. */
import type { Backend } from '../backend.ts';
import { compileProgram } from './program.ts';
import { openWasmSession } from './session.ts';

export const wasm = {
  name: 'wasm',
  exact: true,
  compile: compileProgram,
  open: openWasmSession,
} satisfies Backend;
