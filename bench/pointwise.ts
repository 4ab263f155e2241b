/**
 * What memory limits: pointwise kernels, reductions, programs over rows (softmax, layer norm, cross-entropy) and Adam's update on one
 * thread, against a copy of as many bytes and, where it is found, PyTorch. All take turns in one run, in two sizes: 64 KiB a tensor,
 * which stays in the second-level cache, and 16 MiB, which does not.
 *
 *     pnpm bench pointwise [--only softmax] [--rounds 5] [--python PATH] [--no-peer]
 *
 * GB/s count the bytes that must move: each input read once, each output written once, whatever a kernel does besides. So do those of the
 * copy, half of which are read and half written. Times are CPU times (medians over the rounds), a ratio is ours of theirs. A gradient's
 * program computes its forward pass too, as PyTorch's does. Prints Markdown tables, and writes bench/results/pointwise.json.
 *
 * Expected before it was measured (Zen 3, 512 KiB of second-level cache), in the small size: add, relu and a bias as fast as the copy, some 60
 * GB/s or more. What computes polynomials is as slow as they are: by the ns an element of docs/performance.md gelu 13 GB/s, exp 11, sigmoid 9,
 * tanh 6, the mask of a dropout, which runs Philox, 3. A sum of all has a promised order, so each addition waits for the one before:
 * 4 to 5 GB/s; sums and maxima of rows, eight at a time, 20; sums of columns as the copy. Softmax 6, layer norm 10, cross-entropy 4, half of
 * that with gradients. Adam, limited by its division and its root, 40. In the large size the copy has 10 to 15 GB/s, add, relu and Adam eight
 * tenths of it, and programs over rows, each of whose passes goes through memory, a third. PyTorch: as fast where memory limits,
 * slower in transcendentals if its build calls the C library, faster in sums of all, whose order it chooses.
 *
 * Found on a Zen 3 that others used too (PyTorch 1.13). Small: the copy 100, add and bias 0.7 of it, relu 0.6, sums of columns 0.8;
 * gelu 10, exp 8, sigmoid 7, tanh 5, the mask 2; the sum of all 4.4, sums of rows 33, but their maxima 9; softmax 4.7, layer norm 17,
 * cross-entropy 1.6, with gradients 5.8, 6.9 and 3.3; Adam 57. Large: the copy 15 to 23, add and bias a little above it, Adam twice it,
 * presumably since it writes only what it has read and so need not fetch; softmax a fifth of it, layer norm a quarter, with gradients a
 * ninth, cross-entropy a twentieth. PyTorch takes 0.1 to 2 times our time in the small size, and in the large one of what runs over rows
 * a half to a quarter: it does in one pass what takes ours several. Its Adam, several passes, is slower by five to ten times.
 */
import { parseArgs } from 'node:util';
import { gradients } from '@kasane/tensor/autodiff';
import { compileProgram } from '@kasane/tensor/backends/wasm/program';
import { openUpdater } from '@kasane/tensor/backends/wasm/updater';
import type { Node } from '@kasane/tensor/graph';
import { selectKernel } from '@kasane/tensor/internal/backends/wasm/kernels';
import { layerNormalization } from '@kasane/tensor/internal/nn/norm';
import { enableRevectorization } from '@kasane/tensor/internal/node/v8-flags';
import { dropoutMask } from '@kasane/tensor/internal/ops/dropout-mask';
import { crossEntropy, softmax } from '@kasane/tensor/nn/losses';
import { input } from '@kasane/tensor/ops/leaf';
import { add, exp, gelu, mul, relu, sigmoid, tanh } from '@kasane/tensor/ops/pointwise';
import { maxReduce, sum } from '@kasane/tensor/ops/reduce';
import { fill } from './support/fill.ts';
import { openPeers } from './support/peers.ts';
import { defaultPython } from './support/python.ts';
import { byPeer, machineWith, openTable, peerCells, peerHeadings, writeResults } from './support/results.ts';
import { type Contender, type Figure, ours, takeTurns } from './support/turns.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    rounds: { type: 'string', default: '5' },
    python: { type: 'string', default: defaultPython },
    'no-peer': { type: 'boolean', default: false },
  },
});
const turns = { rounds: Number(values.rounds), milliseconds: 20 };

const COLUMNS = 256;
const sizes = { small: 64, large: 16384 } as const;
type Size = keyof typeof sizes;

/** What a graph may read, by name: f32 [rows, columns] x, y and g, [columns] scale and shift; i32 [rows] labels and ids, [4] key. */
interface Leaves {
  readonly x: Node;
  readonly y: Node;
  /** The gradient of what comes out. */
  readonly g: Node;
  readonly scale: Node;
  readonly shift: Node;
  readonly labels: Node;
  readonly ids: Node;
  readonly key: Node;
}

interface Work {
  /** How peers/kernels.py knows it too. */
  readonly name: string;
  /** Tensors of [rows, columns] that must be read or written; smaller ones do not count. */
  readonly moves: number;
  /** What is computed; Adam's update is no graph. */
  readonly outputs?: (leaves: Leaves) => readonly Node[];
}

const normalized = ({ x, scale, shift }: Leaves) => layerNormalization(x, scale, shift, 1e-5);

const works: readonly Work[] = [
  { name: 'add', moves: 3, outputs: ({ x, y }) => [add(x, y)] },
  { name: 'bias', moves: 2, outputs: ({ x, shift }) => [add(x, shift)] },
  { name: 'relu', moves: 2, outputs: ({ x }) => [relu(x)] },
  { name: 'gelu', moves: 2, outputs: ({ x }) => [gelu(x)] },
  { name: 'sigmoid', moves: 2, outputs: ({ x }) => [sigmoid(x)] },
  { name: 'exp', moves: 2, outputs: ({ x }) => [exp(x)] },
  { name: 'tanh', moves: 2, outputs: ({ x }) => [tanh(x)] },
  {
    name: 'dropout mask',
    moves: 1,
    outputs: ({ ids, key }) => [dropoutMask(ids, key, { layer: 1, rate: 0.2, shape: [COLUMNS] })],
  },
  { name: 'sum of all', moves: 1, outputs: ({ x }) => [sum(x)] },
  { name: 'sums of rows', moves: 1, outputs: ({ x }) => [sum(x, [1])] },
  { name: 'sums of columns', moves: 1, outputs: ({ x }) => [sum(x, [0])] },
  { name: 'maxima of rows', moves: 1, outputs: ({ x }) => [maxReduce(x, [1])] },
  { name: 'softmax', moves: 2, outputs: ({ x }) => [softmax(x)] },
  {
    name: 'softmax with gradient',
    moves: 3,
    outputs: ({ x, g }) => gradients(sum(mul(softmax(x), g)), [x]),
  },
  { name: 'layer norm', moves: 2, outputs: (leaves) => [normalized(leaves)] },
  {
    name: 'layer norm with gradients',
    moves: 3,
    outputs: (leaves) => {
      const { x, g, scale, shift } = leaves;
      return gradients(sum(mul(normalized(leaves), g)), [x, scale, shift]);
    },
  },
  { name: 'cross-entropy', moves: 1, outputs: ({ x, labels }) => [crossEntropy(x, labels)] },
  {
    name: 'cross-entropy with gradient',
    moves: 2,
    outputs: ({ x, labels }) => gradients(sum(crossEntropy(x, labels)), [x]),
  },
  { name: 'Adam', moves: 7 },
];

async function open({ outputs }: Work, rows: number): Promise<Contender> {
  if (!outputs) return adam(rows * COLUMNS);
  const [matrix, row] = [[rows, COLUMNS], [COLUMNS]];
  const program = await compileProgram(
    outputs({
      x: input('x', matrix),
      y: input('y', matrix),
      g: input('g', matrix),
      scale: input('scale', row),
      shift: input('shift', row),
      labels: input('labels', [rows], 'i32'),
      ids: input('ids', [rows], 'i32'),
      key: input('key', [4], 'i32'),
    }),
  );
  for (const values of Object.values(program.inputs)) {
    fill(values, values instanceof Int32Array ? COLUMNS : undefined);
  }
  return ours(program.run);
}

async function adam(size: number): Promise<Contender> {
  const weight = {
    name: 'weight',
    layer: '',
    shape: [size],
    offset: 0,
    size,
    initializer: { kind: 'zeros' },
  } as const;
  const updater = await openUpdater([weight], { type: 'adam' });
  fill(updater.gradient);
  let step = 0;
  return ours(() => updater.apply(step++, 0.001));
}

/** Moves so many bytes: reads half of them and writes as many. */
function copy(bytes: number): Contender {
  const [from, to] = [new Uint8Array(bytes / 2).fill(1), new Uint8Array(bytes / 2).fill(1)];
  return ours(() => to.set(from));
}

enableRevectorization();
const machine = machineWith(selectKernel().name);
console.log(machine);
const peers = await openPeers(values['no-peer'] ? {} : { PyTorch: { script: 'kernels.py' } }, values.python);

const results = [];
for (const [size, rows] of Object.entries(sizes) as [Size, number][]) {
  const tensor = 4 * rows * COLUMNS;
  console.log(`\n${size}: [${rows}, ${COLUMNS}], ${tensor / 1024} KiB a tensor; GB/s by CPU time\n`);
  const table = openTable([
    'kernel',
    'µs',
    'kasane, GB/s',
    'copy, GB/s',
    'of the copy',
    ...peerHeadings(peers, 'GB/s'),
  ]);
  for (const work of works.filter(({ name }) => name.includes(values.only))) {
    const { name, moves } = work;
    const bytes = moves * tensor;
    const theirs = peers.map((peer) => peer.on({ kind: 'pointwise', name, rows, columns: COLUMNS }));
    const contenders = [await open(work, rows), copy(bytes), ...theirs];
    const [own, copied, ...others] = (await takeTurns(contenders, turns)) as [
      Figure,
      Figure,
      ...(Figure | undefined)[],
    ];
    const cell = ({ cpu }: Figure) => (bytes / cpu / 1e6).toFixed(1);
    const share = (copied.cpu / own.cpu).toFixed(2);
    table([
      name,
      (1000 * own.cpu).toFixed(1),
      cell(own),
      cell(copied),
      share,
      ...peerCells(own, others, cell),
    ]);
    results.push({ name, size, bytes, kasane: own, copy: copied, peers: byPeer(peers, others) });
  }
}
for (const { close } of peers) close();
writeResults('pointwise', machine, peers, results);
