/**
 * The WebGPU backend against TensorFlow.js's on the same adapter: the gradients of a training step of the rows of bench/rows.ts,
 * matrix products, and convolutions with both gradients.
 *
 *     pnpm bench webgpu [--row mlp] [--rounds 5] [--peak TFLOPS]
 *
 * A figure goes from the submission until results are read back. Of a product one row is read back, of the others everything. On a GPU it
 * is the wall time of the shortest call. Without a GPU both run on SwiftShader, which computes on the CPU: then it is the CPU time in the
 * median of the rounds, and in brackets the shortest wall time; only the ratios say anything, and little about a GPU. With `--row` that
 * row alone is measured; otherwise all of them on a GPU, and on SwiftShader the two that do not take minutes. `--peak` is the GPU's float32
 * peak: products then say which share of it they reach.
 *
 * TensorFlow.js has rows of dense layers, convolutions and pooling, with its backward pass by hand (support/tfjs-row.ts), and is left out
 * of others. Loss and gradients of both are compared before anything is timed.
 *
 * Prints Markdown tables, and writes everything to bench/results/webgpu.json.
 *
 * Expected on SwiftShader: MLP 0.5 of their time, which is what products have and what is most of it; the CNN 1.0, as convolutions with
 * few channels were even with theirs before and its dense layers are small. Found on two busy cores, in three runs: MLP 0.41 to 0.57; CNN
 * 0.37 and 0.38, since their gradients of filters and images go without tiles; products 0.30 to 0.80, convolutions 0.42 to 0.54. The first
 * convolution was 1.05 while one column of its images' gradient filled a tile of 32.
 */
import { parseArgs } from 'node:util';
import { rows } from './rows.ts';
import { openGpu } from './support/gpu.ts';
import { rowWork } from './support/gpu-rows.ts';
import { convolutions, products, type Work } from './support/gpu-works.ts';
import { openTable, writeResults } from './support/results.ts';
import { type Contender, type Figure, takeTurns } from './support/turns.ts';

const { values } = parseArgs({
  options: {
    row: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    peak: { type: 'string' },
  },
});
const { adapter, software, device, peer } = await openGpu();
console.log(
  `adapter: ${adapter}${software ? '. It computes on the CPU: compare its figures with each other only' : ''}`,
);

const turns = { rounds: Number(values.rounds), milliseconds: 500 };

/** Calls one after the other, each until it has its results. */
const contender = (run: () => Promise<unknown>): Contender => ({
  calls: async (count) => {
    let best = Number.POSITIVE_INFINITY;
    const before = process.cpuUsage();
    for (let i = 0; i < count; i++) {
      const start = performance.now();
      await run();
      best = Math.min(best, performance.now() - start);
    }
    const { user, system } = process.cpuUsage(before);
    return { cpu: (user + system) / 1000 / count, best };
  },
});

/** What speaks for a figure on this adapter. */
const milliseconds = ({ cpu, best }: Figure) => (software ? cpu : best);
const cell = (figure: Figure | undefined) => {
  if (!figure) return '';
  return software ? `${figure.cpu.toFixed(1)} (${figure.best.toFixed(1)})` : figure.best.toFixed(2);
};

const results: object[] = [];
async function measure(title: string, works: readonly Work[]): Promise<void> {
  console.log('');
  const gigaflops = works.some(({ operations }) => operations) ? ['GFLOP/s'] : [];
  const share = gigaflops.length > 0 && values.peak ? ['of the peak'] : [];
  const line = openTable([title, 'kasane, ms', `${peer}, ms`, 'ratio', ...gigaflops, ...share]);
  for (const { name, operations, open } of works) {
    const contest = await open(device).catch((error: unknown) => {
      if (error instanceof RangeError) return error;
      throw error;
    });
    if (contest instanceof RangeError) {
      console.log(`${name} is left out: ${contest.message}`);
      continue;
    }
    const { ours, theirs, close } = contest;
    const [own, other] = await takeTurns(
      [contender(ours), theirs ? contender(theirs) : { calls: () => undefined }],
      turns,
    );
    close();
    const ratio = other && milliseconds(own!) / milliseconds(other);
    const rate = operations && operations / milliseconds(own!) / 1e6;
    line([
      name,
      cell(own),
      theirs ? cell(other) : 'left out',
      ratio?.toFixed(2) ?? '',
      ...(rate ? [rate.toFixed(1)] : []),
      ...(rate && values.peak ? [`${((0.1 * rate) / Number(values.peak)).toFixed(0)} %`] : []),
    ]);
    results.push({ work: name, kasane: own, peer: other, ratio, gigaflops: rate });
  }
}

/** Rows that SwiftShader computes in seconds. */
const QUICK = ['mlp', 'cnn'];
const chosen = rows.filter(({ name }) =>
  values.row ? name === values.row : !software || QUICK.includes(name),
);
if (chosen.length === 0) {
  throw new Error(`there is no row '${values.row}'; there are: ${rows.map(({ name }) => name).join(', ')}`);
}
if (!values.row) {
  await measure('product', products(software ? [256, 512] : [256, 512, 1024, 2048, 4096]));
  await measure('3 x 3 convolution, with gradients', convolutions);
}
await measure('gradients of a step', chosen.map(rowWork));
writeResults('webgpu', adapter, [{ name: 'TensorFlow.js', version: peer }], results);
process.exit(0);
