/**
 * PyTorch's own samples of operations, layers and losses (OpInfo, see test/pytorch/opinfo.py): outputs and gradients on every backend;
 * on WebGPU, where each program takes long to compile, the first of each.
 */
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { gradients } from '../src/autodiff.ts';
import { evaluateGraph } from '../src/backends/reference/run.ts';
import { compileGpuProgram } from '../src/backends/webgpu/program.ts';
import type { Node } from '../src/graph.ts';
import { input } from '../src/ops/leaf.ts';
import { mul } from '../src/ops/pointwise.ts';
import { sum } from '../src/ops/reduce.ts';
import { openDevice } from './support/gpu.ts';
import { layers, losses, type OpInfoCase, operations } from './support/opinfo.ts';
import { runWasm } from './support/run-wasm.ts';

const samples = JSON.parse(
  readFileSync(new URL('pytorch/opinfo.json', import.meta.url), 'utf8'),
) as readonly OpInfoCase[];
const device = await openDevice();
afterAll(() => device?.destroy());

const entries = [...Object.values(operations), ...Object.values(layers), ...losses];
const counterparts = entries.flatMap((entry) => ('none' in entry ? [] : [entry]));
const reasons = entries.flatMap((entry) => ('none' in entry ? [entry.none] : []));

type Run = (
  outputs: readonly Node[],
  feeds: Readonly<Record<string, readonly number[]>>,
) => Promise<ArrayLike<number>[]>;
const onDevice: Run = async (outputs, feeds) => {
  const program = await compileGpuProgram(device!, outputs);
  try {
    for (const [name, { dtype }] of program.inputs)
      program.write(name, (dtype === 'i32' ? Int32Array : Float32Array).from(feeds[name]!));
    return await program.run();
  } finally {
    program.destroy();
  }
};

/** Runs a sample and compares, element by element, with the largest number of the tensor as the measure. */
async function check(sample: OpInfoCase, run: Run, bound: number): Promise<void> {
  const { build } = counterparts.find(({ names }) => names.includes(sample.op))!;
  const leaves = sample.inputs.map(({ shape, whole }, i) => input(`input${i}`, shape, whole ? 'i32' : 'f32'));
  const y = build(leaves as never, sample.attributes, sample.op);
  const upstream = input('upstream', sample.shape);
  const wanted = sample.gradients.flatMap((values, i) => (values ? [{ leaf: leaves[i]!, values }] : []));
  const slopes =
    wanted.length > 0
      ? gradients(
          sum(mul(y, upstream)),
          wanted.map(({ leaf }) => leaf),
        )
      : [];
  const feeds = Object.fromEntries(sample.inputs.map(({ values }, i) => [`input${i}`, values]));
  const found = await run([y, ...slopes], { ...feeds, upstream: sample.upstream });
  [sample.output, ...wanted.map(({ values }) => values)].forEach((values, i) => {
    const what = i === 0 ? 'output' : `gradient ${i}`;
    expect(found[i], what).toHaveLength(values.length);
    const scale = Math.max(1, ...values.map(Math.abs));
    values.forEach((value, e) => {
      const own = found[i]![e]!;
      if (!(Math.abs(own - value) <= bound * scale))
        expect.fail(`${what}, element ${e}: ${own} where PyTorch has ${value}`);
    });
  });
}

describe('PyTorch has the same', () => {
  it('samples for every entry of the tables, and a reason where there is none', () => {
    const there = new Set(samples.map(({ op }) => op));
    const listed = counterparts.flatMap(({ names }) => names);
    expect([...there].sort()).toEqual([...new Set(listed)].sort());
    expect(reasons.every((reason) => reason.length > 5)).toBe(true);
  });

  const labels = samples.map((sample, i) => {
    const first = samples.findIndex(({ op }) => op === sample.op) === i;
    return [
      `${sample.op} ${sample.inputs.map(({ shape }) => `[${shape}]`).join(' ')} ${JSON.stringify(sample.attributes)}`,
      sample,
      first,
    ] as const;
  });

  it.each(labels)('%s', async (_, sample) => {
    await check(sample, async (...args) => evaluateGraph(...args), 1e-8);
    await check(sample, runWasm, 1e-5);
    await check(sample, (outputs, feeds) => runWasm(outputs, feeds, 'fast'), 1e-5);
  });

  it.skipIf(!device).each(labels.filter(([, , first]) => first))('on WebGPU: %s', (_, sample) =>
    check(sample, onDevice, 1e-4),
  );
});
