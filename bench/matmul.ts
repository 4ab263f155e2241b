/**
 * Matrix products on one thread: squares in all four ways to read them, tall and flat ones as layers have them, and batches; exact and
 * fast, against PyTorch and TensorFlow.js (wasm) where they are found. All take turns in one run.
 *
 *     pnpm bench matmul [--only 2048] [--narrow] [--rounds 5] [--python PATH] [--no-peer]
 *
 * A figure is GFLOP/s by CPU time (the median over the rounds), and in brackets by the shortest wall time; where the two differ, others
 * used the machine. A ratio is our exact kernel's CPU time divided by theirs. `--only` takes the products whose name has that in it,
 * `--narrow` leaves V8's flag for 256-bit operations off. Prints a Markdown table, and writes bench/results/matmul.json.
 *
 * OpenBLAS does not know every CPU and then falls back to SSE code: PyTorch is measured as it comes and with
 * OPENBLAS_CORETYPE=Haswell (AVX2 with fused multiply-add: what a 256-bit kernel can at best be compared with).
 *
 * Expected before it was measured: with separate multiply and add, which the promise of equal bits asks for, a 256-bit
 * kernel reaches at most the CPU's rate of mul+add pairs: 69 GFLOP/s on a 3 GHz Sapphire-Rapids-class core, about 130 on a Zen 5.
 * Goal: 80 % of that, so 55 and 104, at 256, 512 and 1024.
 *
 * Found on the former: 64, 60 and 57 (4x16 as fast as 5x16, 6x16 a tenth slower; 4x8 without the flag 34). On the Zen 5 (126 in
 * registers) 103 to 111, 97 to 101 and 93 to 97, and where others were on the core half of that at 512 and 1024: a product of
 * 256 (0.3 ms) fits between two switches of the scheduler, one of 1024 (23 ms) never does, so that even its shortest time contains
 * others' work. Hence CPU times. Fused multiply-add (`math: fast`) doubles the peak to 138 there. Expected 80 % of it, since loads now
 * take as many slots as arithmetic; found about 100, 90 and 87 with 6x16, a tenth above PyTorch with AVX2 (82 to 85).
 *
 * Expected of the shapes that are no squares, before they were measured, of what the square of 512 reaches: nine tenths where every side is
 * 128 or more; as much for the batch of 128 x 32 x 128, half of it where n is 10 or k is 16; for 16 rows by 4096 x 1024 a third, since
 * each element of B, 16 MiB, is copied for 16 products only. The ways to read within a tenth of one another.
 *
 * Found on a Zen 3 that others used too (512 KiB of second-level cache, PyTorch 1.13): squares of 128 and 256 64 to 72 exact, 87 to 101
 * fast; of 512 and 1024 54 to 63 and 67 to 81, where PyTorch keeps its 92 to 95; of 64 PyTorch has 49 to 53, ours 57 to 66. Tall and
 * flat ones 59 to 68, so no worse than squares; the batch 58 to 65; n of 10 or k of 10 33 to 47, twice what PyTorch has. With 16 rows 40,
 * but 19 where B is transposed and 24 where k is 16: there PyTorch has 48 and 35. B transposed costs up to a sixth where m is 64.
 * TensorFlow.js has 25, and 1.6 as soon as a side is transposed or there is a batch.
 */
import { parseArgs } from 'node:util';
import type { MathMode } from '@kasane/tensor/backends/backend';
import { compileProgram } from '@kasane/tensor/backends/wasm/program';
import type { Gemm } from '@kasane/tensor/internal/backends/wasm/gemm';
import { selectKernel } from '@kasane/tensor/internal/backends/wasm/kernels';
import { enableRevectorization } from '@kasane/tensor/internal/node/v8-flags';
import { input } from '@kasane/tensor/ops/leaf';
import { matmul } from '@kasane/tensor/ops/matmul';
import { fill } from './support/fill.ts';
import { openPeers } from './support/peers.ts';
import { defaultPython } from './support/python.ts';
import { byPeer, machineWith, openTable, peerCells, peerHeadings, writeResults } from './support/results.ts';
import { type Contender, type Figure, ours, takeTurns } from './support/turns.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    narrow: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    python: { type: 'string', default: defaultPython },
    'no-peer': { type: 'boolean', default: false },
  },
});
const turns = { rounds: Number(values.rounds), milliseconds: 25 };

/** As peers know it. */
export interface Product extends Gemm {
  readonly kind: 'product';
  /** Number of products. */
  readonly batch: number;
}

/** How A and B lie in memory: n as they are read, t transposed. */
type Way = 'nn' | 'tn' | 'nt' | 'tt';

const product = (m: number, n: number, k: number, way: Way, batch = 1): Product => ({
  kind: 'product',
  batch,
  m,
  n,
  k,
  transposeA: way[0] === 't',
  transposeB: way[1] === 't',
});
/** A dense layer's three: forward, the gradient of its input, the gradient of its weight. */
const dense = (samples: number, inputs: number, outputs: number, batch = 1): Product[] => [
  product(samples, outputs, inputs, 'nn', batch),
  product(samples, inputs, outputs, 'nt', batch),
  product(inputs, outputs, samples, 'tn', batch),
];

const products: readonly Product[] = [
  ...[64, 128, 256, 512, 1024].flatMap((size) =>
    (['nn', 'tn', 'nt', 'tt'] as const).map((way) => product(size, size, size, way)),
  ),
  // A transformer of width 128 over 2048 tokens.
  ...dense(2048, 128, 512),
  ...dense(2048, 512, 128),
  // VGG's and AlexNet's dense layers at a small batch, and a classifier's last one.
  ...dense(16, 1024, 4096),
  ...dense(64, 784, 128),
  ...dense(64, 64, 10),
  // A head of attention: weights by values, their gradients, and scores.
  ...dense(128, 128, 32, 64),
];

const nameOf = ({ m, n, k, batch }: Product) => `${batch > 1 ? `${batch} x ` : ''}${m} x ${n} x ${k}`;
const wayOf = ({ transposeA, transposeB }: Product) =>
  `${transposeA ? 't' : 'n'}${transposeB ? 't' : 'n'}` as Way;

async function open({ m, n, k, transposeA, transposeB, batch }: Product, math: MathMode): Promise<Contender> {
  const matrix = (name: string, shape: readonly [number, number]) =>
    input(name, batch > 1 ? [batch, ...shape] : shape);
  const a = matrix('a', transposeA ? [k, m] : [m, k]);
  const b = matrix('b', transposeB ? [n, k] : [k, n]);
  const program = await compileProgram([matmul(a, b, transposeA, transposeB)], { math });
  for (const values of Object.values(program.inputs)) fill(values);
  return ours(program.run);
}

if (!values.narrow) enableRevectorization();
const choice = selectKernel();
const machine = machineWith(`${choice.name}, 256-bit operations ${choice.revectorized ? 'on' : 'off'}`);
console.log(machine);
if (choice.warning) console.log(choice.warning);
const avx2 = { OPENBLAS_CORETYPE: 'Haswell', ATEN_CPU_CAPABILITY: 'avx2' };
const scripts = {
  PyTorch: { script: 'kernels.py' },
  'PyTorch with AVX2': { script: 'kernels.py', env: avx2 },
  'TensorFlow.js': { script: 'tfjs.ts' },
};
const peers = await openPeers(values['no-peer'] ? {} : scripts, values.python);

console.log('\nGFLOP/s by CPU time (by the shortest wall time)\n');
const table = openTable([
  'm x n x k',
  'read',
  'kasane exact',
  'kasane fast',
  ...peerHeadings(peers, 'GFLOP/s'),
]);
const results = [];
for (const work of products.filter((product) => nameOf(product).includes(values.only))) {
  const own = [await open(work, 'exact'), await open(work, 'fast')];
  const [exact, fast, ...theirs] = (await takeTurns(
    [...own, ...peers.map((peer) => peer.on(work))],
    turns,
  )) as [Figure, Figure, ...(Figure | undefined)[]];
  const { batch, m, n, k } = work;
  const gigaflops = (milliseconds: number) => ((2 * batch * m * n * k) / milliseconds / 1e6).toFixed(1);
  const cell = ({ cpu, best }: Figure) => `${gigaflops(cpu)} (${gigaflops(best)})`;
  table([nameOf(work), wayOf(work), cell(exact), cell(fast), ...peerCells(exact, theirs, cell)]);
  results.push({ ...work, exact, fast, peers: byPeer(peers, theirs) });
}
for (const { close } of peers) close();
writeResults('matmul', machine, peers, results);
