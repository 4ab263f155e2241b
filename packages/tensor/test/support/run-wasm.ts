import { compileGraph } from '../../src/backends/wasm/compile.ts';
import { gemmScratchBytes } from '../../src/backends/wasm/gemm.ts';
import { type MathMode, selectKernel } from '../../src/backends/wasm/kernels.ts';
import type { Node } from '../../src/graph.ts';
import { alignUp } from '../../src/plan/arena.ts';
import { sizeOf } from '../../src/shape.ts';

/** Computes outputs of a graph on the wasm backend. */
export function runWasm(
  outputs: readonly Node[],
  inputs: readonly Node[],
  feeds: Readonly<Record<string, ArrayLike<number>>>,
  math: MathMode = 'exact',
): Float32Array[] {
  const { name: kernel } = selectKernel(math);
  let next = alignUp(64 + gemmScratchBytes(kernel));
  const leaves = new Map<Node, number>();
  for (const node of inputs) {
    leaves.set(node, next);
    next = alignUp(next + 4 * sizeOf(node.shape) + 64);
  }
  const compiled = compileGraph({
    outputs,
    leaves,
    targets: new Map(),
    groups: [],
    arenaStart: next,
    scratch: 64,
    kernel,
  });
  const pages = Math.ceil((compiled.end + 64) / 65536);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  // What a kernel does not write must not pass for zeros.
  new Float32Array(memory.buffer).fill(Number.NaN);
  for (const node of inputs) {
    const values = feeds[String(node.attributes.name)]!;
    const array = node.dtype === 'i32' ? Int32Array : Float32Array;
    new array(memory.buffer, leaves.get(node)!, values.length).set(Array.from(values));
  }
  const module = new WebAssembly.Module(compiled.encode({ pages, shared: false }));
  const instance = new WebAssembly.Instance(module, { env: { memory } });
  for (let stage = 0; stage < compiled.stages.length; stage++)
    (instance.exports[`stage${stage}`] as () => void)();
  return outputs.map((node, i) => {
    const array = node.dtype === 'i32' ? Int32Array : Float32Array;
    return Float32Array.from(new array(memory.buffer, compiled.offsets[i]!, sizeOf(node.shape)));
  });
}
