/** Which part of a program's time several threads would share: each kernel is timed by itself, on one thread. */
import { compileGraph } from '@kasane/tensor/internal/backends/wasm/compile';
import { BARRIER_BYTES } from '@kasane/tensor/internal/backends/wasm/cut';
import { scratchBytes } from '@kasane/tensor/internal/backends/wasm/emit-kernels';
import { selectKernel } from '@kasane/tensor/internal/backends/wasm/kernels';
import { alignUp } from '@kasane/tensor/internal/plan/arena';
import { placeLeaves, viewOf } from '@kasane/tensor/internal/plan/leaves';
import { initializeParameters } from '@kasane/tensor/nn/model';
import { fillBatch, type Row, trainingGraph } from '../rows.ts';

const START = 64;
const PAGE = 65536;

/** Milliseconds, the shortest of each kernel in so many of the whole: of those that are cut for so many threads, and of the others. */
export async function cutShare(row: Row, threads: number, milliseconds: number) {
  const { model, outputs } = trainingGraph(row);
  const { name: kernel } = selectKernel();
  const scratch = START + BARRIER_BYTES;
  const { byName, places, end } = placeLeaves(outputs, alignUp(scratch + threads * scratchBytes(kernel)));
  const compiled = (count: number) =>
    compileGraph({
      ...{ outputs, leaves: places, targets: new Map(), groups: [], arenaStart: end, scratch, kernel },
      ...{ stepwise: true, sharing: { threads: count }, barrier: START },
    });
  const one = compiled(1);
  const pages = Math.ceil((one.end + 64) / PAGE);
  const { together } = compiled(threads).encode({ pages, shared: true });
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const module = await WebAssembly.compile(one.encode({ pages, shared: false }).bytes);
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  const view = (name: string) => viewOf(byName.get(name)!, memory.buffer, places.get(byName.get(name)!)!);
  const parameters = initializeParameters(model, 1);
  for (const { name, offset, size } of model.parameters)
    if (byName.has(name)) view(name).set(parameters.subarray(offset, offset + size));
  fillBatch(row, view('x') as Float32Array, view('labels') as Int32Array);
  const kernels = together.map((cut, index) => ({
    ...{ cut, run: exports[`stage${index}`] as () => void, shortest: Number.POSITIVE_INFINITY },
  }));
  const until = performance.now() + milliseconds;
  do {
    for (const each of kernels) {
      const start = performance.now();
      each.run();
      each.shortest = Math.min(each.shortest, performance.now() - start);
    }
  } while (performance.now() < until);
  const sum = (wanted: boolean) =>
    kernels.filter(({ cut }) => cut === wanted).reduce((total, { shortest }) => total + shortest, 0);
  return { cut: sum(true), alone: sum(false) };
}
