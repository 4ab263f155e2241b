import type { MathMode } from '../../src/backends/backend.ts';
import { BARRIER_BYTES } from '../../src/backends/wasm/cut.ts';
import { compileProgram } from '../../src/backends/wasm/program.ts';
import type { Node } from '../../src/graph.ts';
import { helpersOf } from './team.ts';

/** Computes outputs of a graph on the wasm backend. @param threads that compute together, whatever the size */
export async function runWasm(
  outputs: readonly Node[],
  feeds: Readonly<Record<string, ArrayLike<number>>>,
  math: MathMode = 'exact',
  threads = 1,
): Promise<Float32Array[]> {
  const program = await compileProgram(outputs, { math, helpers: helpersOf(threads) });
  // What a kernel does not write must not pass for zeros.
  new Float32Array(program.outputs[0]!.buffer, 64 + BARRIER_BYTES).fill(Number.NaN);
  for (const [name, values] of Object.entries(program.inputs)) values.set(feeds[name]!);
  program.run();
  const found = program.outputs.map((values) => Float32Array.from(values));
  program.destroy();
  return found;
}
