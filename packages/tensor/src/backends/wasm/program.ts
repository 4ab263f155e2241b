/** Any graph as a program: what the library's users run when they build graphs of their own. */
import type { Node } from '../../graph.ts';
import { alignUp } from '../../plan/arena.ts';
import { leafFor, placeLeaves, type TypedValues, viewOf } from '../../plan/leaves.ts';
import type { GraphProgram, MathMode } from '../backend.ts';
import { startCode } from './code.ts';
import { compileGraph } from './compile.ts';
import { alone, BARRIER_BYTES } from './cut.ts';
import { scratchBytes } from './emit-kernels.ts';
import type { Helpers } from './helpers.ts';
import { selectKernel } from './kernels.ts';
import { PAGE } from './memory.ts';

export interface WasmGraph extends GraphProgram {
  /** Inputs and parameters by name: views into the program's memory, to be filled before a run. They start as zeros. */
  readonly inputs: Readonly<Record<string, TypedValues>>;
  /** One view for each output, valid until the next run. */
  readonly outputs: readonly TypedValues[];
  /**
   * Computes the outputs. Allocates nothing.
   * @throws IndexError when an input names a row that a table does not have
   */
  run(): readonly TypedValues[];
}

const START = 64;

/**
 * Compiles what `outputs` need.
 * @param math exact (default): the same bits on every machine
 * @param helpers threads that compute too; default none
 * @throws RangeError when the program needs more than 4 GiB, or two leaves have one name
 */
export async function compileProgram(
  outputs: readonly Node[],
  { math = 'exact', helpers }: { readonly math?: MathMode; readonly helpers?: Helpers | undefined } = {},
): Promise<WasmGraph> {
  const { name: kernel } = selectKernel(math);
  const sharing = helpers ?? alone;
  const scratch = helpers ? START + BARRIER_BYTES : START;
  const { byName, places, end } = placeLeaves(
    outputs,
    alignUp(scratch + sharing.threads * scratchBytes(kernel)),
  );
  const compiled = compileGraph({
    outputs,
    leaves: places,
    targets: new Map(),
    groups: [],
    arenaStart: end,
    scratch,
    kernel,
    sharing,
    barrier: START,
  });
  const pages = Math.ceil((compiled.end + 64) / PAGE);
  if (pages > 65536)
    throw new RangeError(`the program needs ${pages} pages of 64 KiB; a memory has at most 65536`);
  const shared = helpers !== undefined;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared });
  const { stages, close } = await startCode(compiled.encode({ pages, shared }), memory, helpers);
  const inputs = Object.fromEntries(
    [...byName].map(([name, node]) => [name, viewOf(node, memory.buffer, places.get(node)!)]),
  );
  const results = outputs.map((node, index) => viewOf(node, memory.buffer, compiled.offsets[index]!));
  return {
    inputs,
    outputs: results,
    write: (name, values) => {
      leafFor(byName, name, values);
      inputs[name]!.set(values);
    },
    run: () => {
      for (const stage of stages) stage();
      return results;
    },
    // The memory goes when nobody knows it any more.
    destroy: close,
  };
}
