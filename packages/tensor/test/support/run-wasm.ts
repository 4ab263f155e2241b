import type { MathMode } from '../../src/backends/backend.ts';
import { compileProgram } from '../../src/backends/wasm/program.ts';
import type { Node } from '../../src/graph.ts';

/** Computes outputs of a graph on the wasm backend. */
export async function runWasm(
  outputs: readonly Node[],
  feeds: Readonly<Record<string, ArrayLike<number>>>,
  math: MathMode = 'exact',
): Promise<Float32Array[]> {
  const program = await compileProgram(outputs, { math });
  // What a kernel does not write must not pass for zeros.
  new Float32Array(program.outputs[0]!.buffer).fill(Number.NaN);
  for (const [name, values] of Object.entries(program.inputs)) values.set(feeds[name]!);
  program.run();
  return program.outputs.map((values) => Float32Array.from(values));
}
