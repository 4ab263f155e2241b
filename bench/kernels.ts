/**
 * Where the time of a training step goes: each kernel of a row's plan is run by itself, and the most expensive are listed.
 *
 *     pnpm bench kernels [--row resnet18] [--top 25]
 */
import { parseArgs } from 'node:util';
import { FunctionBuilder, ModuleBuilder } from '@kasane/tensor/internal/assembler';
import { buildStep, scratchBytes, workspaceBytes } from '@kasane/tensor/internal/backends/wasm/emit-kernels';
import { selectKernel } from '@kasane/tensor/internal/backends/wasm/kernels';
import { enableRevectorization } from '@kasane/tensor/internal/node/v8-flags';
import { alignUp, layOut, readsOf } from '@kasane/tensor/internal/plan/arena';
import { blockSteps } from '@kasane/tensor/internal/plan/blocks';
import { placeLeaves } from '@kasane/tensor/internal/plan/leaves';
import { mergeSteps } from '@kasane/tensor/internal/plan/merge';
import { makePlan } from '@kasane/tensor/internal/plan/plan';
import { rows, trainingGraph } from './rows.ts';
import { fill } from './support/fill.ts';

const { values } = parseArgs({
  options: { row: { type: 'string', default: 'cnn' }, top: { type: 'string', default: '25' } },
});
const ROUNDS = 5;
const START = 64;

enableRevectorization();
const { name: kernel } = selectKernel();
const row = rows.find(({ name }) => name === values.row);
if (!row) throw new Error(`no row '${values.row}'; there are: ${rows.map(({ name }) => name).join(', ')}`);
const { outputs } = trainingGraph(row);
const { byName, places, end: start } = placeLeaves(outputs, alignUp(START + scratchBytes(kernel)));
const plan = makePlan(outputs);
const kept = new Set(plan.outputs);
const steps = blockSteps(mergeSteps(plan.steps, kept), kept);
const { offsets, workspaces, end } = layOut(steps, start, places, kept, (step) =>
  workspaceBytes(step, kernel),
);
const pages = Math.ceil((end + 64) / 65536);
const module = new ModuleBuilder({ pages, shared: false });
const shared = new Map<string, number>();
for (const [index, step] of steps.entries()) {
  const own = module.add(
    buildStep(step, {
      place: (node) => offsets.get(node)!,
      workspace: (node) => workspaces.get(node) ?? 0,
      scratch: { at: START, apart: 0 },
      localBytes: () => 0,
      team: undefined,
      gemm: kernel,
      add: (f) => module.add(f),
      shared: (key, build) => {
        const known = shared.get(key) ?? module.add(build());
        shared.set(key, known);
        return known;
      },
    }),
  );
  module.add(new FunctionBuilder().call(own), `step${index}`);
}
const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
const { instance } = await WebAssembly.instantiate(module.encode(), { env: { memory } });
for (const [name, node] of byName) {
  const length = node.shape.reduce((product, extent) => product * extent, 1);
  if (node.dtype === 'i32') continue;
  const view = new Float32Array(memory.buffer, places.get(node)!, length);
  fill(view, name === 'x' ? row.tokens : undefined);
}
const runs = steps.map((_, index) => instance.exports[`step${index}`] as () => void);
const best = runs.map(() => Number.POSITIVE_INFINITY);
for (let round = 0; round < ROUNDS; round++) {
  for (const [index, run] of runs.entries()) {
    const from = performance.now();
    run();
    best[index] = Math.min(best[index]!, performance.now() - from);
  }
}
const total = best.reduce((a, b) => a + b, 0);
console.log(
  `${row.name}: ${steps.length} kernels, ${total.toFixed(2)} ms, ${(end / 2 ** 20).toFixed(0)} MiB`,
);
/** Steps of the same operation, shapes and inputs are one line. */
const groups = new Map<string, { count: number; time: number }>();
for (const [index, step] of steps.entries()) {
  const attributes = step.kind === 'kernel' ? JSON.stringify(step.output.attributes) : '';
  const made =
    step.kind === 'kernel'
      ? step.output.op
      : step.kind === 'loop'
        ? `loop of ${step.results.length} over [${step.shape}] to`
        : `block of ${step.steps.length} over ${step.rows} rows, ${step.together} at a time, to`;
  const text = `${made} [${step.output.shape}] from ${readsOf(step)
    .map((node) => `[${node.shape}]`)
    .join(' ')} ${attributes}`;
  const group = groups.get(text) ?? { count: 0, time: 0 };
  groups.set(text, { count: group.count + 1, time: group.time + best[index]! });
}
const byOp = new Map<string, number>();
for (const [text, { time }] of groups) {
  const op = text.split(' ')[0]!;
  byOp.set(op, (byOp.get(op) ?? 0) + time);
}
console.log(
  [...byOp]
    .sort((a, b) => b[1] - a[1])
    .map(([op, time]) => `${op} ${time.toFixed(2)}`)
    .join(', '),
);
for (const [text, { count, time }] of [...groups]
  .sort((a, b) => b[1].time - a[1].time)
  .slice(0, Number(values.top))) {
  console.log(`${time.toFixed(3).padStart(9)} ms  ${String(count).padStart(3)} x ${text}`);
}
