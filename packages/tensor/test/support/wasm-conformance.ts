/**
 * A program for a process of its own: every case of every operation with its gradients on wasm against the reference, in exact and
 * in fast arithmetic; prints, as JSON, the kernels, the number of cases and what is wrong. `--revectorize` asks V8 for 256-bit
 * operations first; `--threads` has the bits of two and of three threads compared with those of one as well.
 */
import { gradients } from '../../src/autodiff.ts';
import { evaluateGraph } from '../../src/backends/reference/run.ts';
import { selectKernel } from '../../src/backends/wasm/kernels.ts';
import { enableRevectorization } from '../../src/node/v8-flags.ts';
import { opCases } from './cases.ts';
import { runWasm } from './run-wasm.ts';
import { endTeams } from './team.ts';

const asked = process.argv.includes('--revectorize') && enableRevectorization();
const sameBits = (a: Float32Array, b: Float32Array) => Buffer.from(a.buffer).equals(Buffer.from(b.buffer));
const several = process.argv.includes('--threads') ? [2, 3] : [];
const problems: string[] = [];
const cases = opCases();
for (const { inputs, output, feeds, differentiable, label } of cases) {
  const wrt = inputs.filter((node) => node.dtype === 'f32');
  const outputs = [output, ...(differentiable ? gradients(output, wrt) : [])];
  const wanted = evaluateGraph(outputs, feeds);
  for (const math of ['exact', 'fast'] as const) {
    const found = await runWasm(outputs, feeds, math);
    const wrong = wanted.some((values, i) =>
      values.some((value, e) => !(Math.abs(found[i]![e]! - value) / Math.max(1, Math.abs(value)) < 2e-5)),
    );
    if (wrong) problems.push(`${label}, ${math}`);
    for (const threads of several) {
      const others = await runWasm(outputs, feeds, math, threads);
      if (!others.every((values, i) => sameBits(values, found[i]!)))
        problems.push(`${label}, ${math}, ${threads} threads`);
    }
  }
}
await endTeams();
const kernels = { exact: selectKernel('exact'), fast: selectKernel('fast') };
process.stdout.write(JSON.stringify({ asked, kernels, cases: cases.length, problems }));
