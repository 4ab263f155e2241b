/**
 * What long sums cost: reductions, products and convolutions on one thread, the shortest CPU time of each. To compare two states, run
 * it in both in turns, some times each, and compare the shortest of all.
 *
 *     pnpm bench sums [--only window]
 */
import { parseArgs } from 'node:util';
import { compileProgram } from '@kasane/tensor/backends/wasm/program';
import type { Node } from '@kasane/tensor/graph';
import { enableRevectorization } from '@kasane/tensor/internal/node/v8-flags';
import { apply } from '@kasane/tensor/internal/ops/op';
import { conv2d, conv2dInputGradient, conv2dWeightGradientOp } from '@kasane/tensor/ops/conv2d';
import { scatterAdd } from '@kasane/tensor/ops/gather';
import { input } from '@kasane/tensor/ops/leaf';
import { matmul } from '@kasane/tensor/ops/matmul';
import { sum } from '@kasane/tensor/ops/reduce';

const { values } = parseArgs({ options: { only: { type: 'string', default: '' } } });
const [ROUNDS, MILLISECONDS] = [15, 25];

const works: Record<string, Node> = {
  'sum of 2^22': sum(input('x', [2 ** 22])),
  'rows of 256': sum(input('x', [1024, 256]), [1]),
  'columns of 16384': sum(input('x', [16384, 256]), [0]),
  'rows by index': scatterAdd(input('x', [4096, 64]), input('index', [4096], 'i32'), 10_000),
};
for (const [m, n, k] of [
  [512, 512, 512],
  [256, 256, 2048],
  [64, 64, 20_000],
] as const)
  works[`product ${m} x ${n} of ${k}`] = matmul(input('a', [m, k]), input('b', [k, n]));
for (const [rows, channels, groups, window] of [
  [28, 16, 1, 3],
  [56, 64, 1, 3],
  [14, 256, 1, 3],
  [28, 8, 1, 5],
  [28, 32, 32, 3],
] as const) {
  const image = input('x', [4, rows, rows, channels]);
  const weight = input('w', [window, window, channels / groups, channels]);
  const options = { padding: [(window - 1) / 2, (window - 1) / 2] as const, groups };
  const forward = conv2d(image, weight, options);
  const g = input('g', forward.shape);
  const name = `${window} x ${window}, ${channels} channels of ${rows} x ${rows}${groups > 1 ? ', each by itself' : ''}`;
  works[`${name}: forwards`] = forward;
  works[`${name}: image's gradient`] = conv2dInputGradient(g, weight, [rows, rows], options);
  works[`${name}: window's gradient`] = apply(conv2dWeightGradientOp, [image, g], {
    ...forward.attributes,
    window: [window, window],
  } as never);
}

enableRevectorization();
console.log('| work | shortest, µs |\n|---|---|');
for (const [name, node] of Object.entries(works)) {
  if (!name.includes(values.only)) continue;
  const program = await compileProgram([node]);
  for (const leaf of Object.values(program.inputs))
    leaf.set(
      Array.from(leaf, (_, i) =>
        leaf instanceof Int32Array ? (i * 7919) % 1009 : ((i * 7919) % 1009) / 1009,
      ),
    );
  let shortest = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const [start, before] = [performance.now(), process.cpuUsage()];
    let runs = 0;
    for (; performance.now() - start < MILLISECONDS; runs++) program.run();
    const { user, system } = process.cpuUsage(before);
    shortest = Math.min(shortest, (user + system) / runs);
  }
  console.log(`| ${name} | ${shortest.toFixed(1)} |`);
}
