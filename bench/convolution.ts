/**
 * The convolutions of AlexNet, VGG-16, ResNet-18 and ResNet-50 on one thread, each shape once and in three directions: forward, the gradient
 * of the image, the gradient of the weight. Against PyTorch where it is found, which takes turns with ours.
 *
 *     pnpm bench convolution [--model resnet-50] [--batch 4] [--rounds 5] [--python PATH] [--no-peer]
 *
 * A figure is the CPU time of a call (the median over the rounds), a ratio ours of theirs. GFLOP/s are those of the direct sum's
 * operations, two for each product: kernels that do with fewer exceed what the CPU has. At the end each model's convolutions are added
 * up, as often as it has them. PyTorch keeps its channels first, as it comes. The gradient of what goes into a model is left out,
 * since nobody needs it. Prints Markdown tables, and writes bench/results/convolution.json.
 *
 * Expected before it was measured, where a matrix product has 70 to 100 GFLOP/s: as much as that for 1 x 1 at stride 1 (which is one);
 * nine tenths for other windows; twice to two and a half times for 3 x 3 at stride 1 (Winograd's), least at 7 x 7 pixels, where tiles of
 * 4 x 4 compute more than there is; half for the first layers, whose three channels make short sums, and for their weights' gradients.
 * PyTorch: Debian's builds make a matrix of patches and leave the product to OpenBLAS, so twice as fast as theirs for 3 x 3, and as
 * fast for 1 x 1.
 *
 * Found on a Zen 3 that others used too (a square product of 512 has 60 there, 92 with PyTorch 1.13): 1 x 1 51 to 70, other windows 57 to
 * 72, first layers 41 to 65. 3 x 3 at stride 1 180 to 230 from 28 x 28 pixels and up to 256 channels on; 120 to 160 at 13 x 13 and 14 x 14,
 * 150 to 180 with 512 channels; and with 512 channels at 14 x 14 of one image, or 7 x 7 of four, 60 to 90, no more than a direct sum.
 * Of PyTorch's time we take 0.35 to 0.75 for these, 1.0 to 1.5 for most others, as for products. All of VGG-16 takes 0.4 to 0.6 of its time,
 * ResNet-18 0.6 to 0.8, AlexNet 0.9 to 1.0, and ResNet-50, most of which is 1 x 1, as much as PyTorch.
 */
import { parseArgs } from 'node:util';
import { compileProgram } from '@kasane/tensor/backends/wasm/program';
import type { Node } from '@kasane/tensor/graph';
import { selectKernel } from '@kasane/tensor/internal/backends/wasm/kernels';
import { convolve } from '@kasane/tensor/internal/nn/convolution';
import { pairOf } from '@kasane/tensor/internal/nn/layer';
import { enableRevectorization } from '@kasane/tensor/internal/node/v8-flags';
import { opNamed } from '@kasane/tensor/internal/ops/index';
import { describePreset } from '@kasane/tensor/models/presets';
import { buildModel } from '@kasane/tensor/nn/model';
import type { Pair } from '@kasane/tensor/ops/conv2d';
import { input } from '@kasane/tensor/ops/leaf';
import type { Shape } from '@kasane/tensor/shape';
import { fill } from './support/fill.ts';
import { openPeers } from './support/peers.ts';
import { defaultPython } from './support/python.ts';
import { byPeer, machineWith, openTable, peerCells, peerHeadings, writeResults } from './support/results.ts';
import { type Figure, ours, takeTurns } from './support/turns.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    batch: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    python: { type: 'string', default: defaultPython },
    'no-peer': { type: 'boolean', default: false },
  },
});
const turns = { rounds: Number(values.rounds), milliseconds: 10 };

/** Images at a time: large models take fewer, so that a run stays short. */
const batches: Readonly<Record<string, number>> = { alexnet: 8, 'vgg-16': 1, 'resnet-18': 4, 'resnet-50': 4 };
const models = Object.keys(batches).filter((name) => !values.model || name === values.model);
if (models.length === 0) {
  throw new Error(`no model '${values.model}'; there are: ${Object.keys(batches).join(', ')}`);
}

/** As peers know it, apart from the direction. */
interface Convolution {
  readonly kind: 'convolution';
  readonly batch: number;
  /** [rows, columns, channels] */
  readonly image: Shape;
  /** [height, width, channels / groups, filters] */
  readonly window: Shape;
  readonly stride: Pair;
  readonly padding: Pair;
  readonly dilation: Pair;
  readonly groups: number;
}
const directions = ['forward', 'image', 'weight'] as const;
type Direction = (typeof directions)[number];

interface Layer {
  readonly convolution: Convolution;
  /** Of the first model that has it. */
  readonly name: string;
  /** How often each model has it. */
  readonly uses: Map<string, number>;
  /** Whether it reads what goes into the model. */
  readonly first: boolean;
}

/** The models' convolutions, each shape once. */
function layersOf(models: readonly string[]): Layer[] {
  const layers = new Map<string, Layer>();
  for (const model of models) {
    const batch = Number(values.batch ?? batches[model]);
    for (const { type, name, from, inputShape, options, parameters } of buildModel(describePreset(model))
      .layers) {
      if (type !== 'conv2d') continue;
      const convolution: Convolution = {
        kind: 'convolution',
        batch,
        image: inputShape,
        window: parameters[0]!.shape,
        stride: pairOf(options.stride as Pair),
        padding: pairOf(options.padding as Pair),
        dilation: pairOf(options.dilation as Pair),
        groups: options.groups as number,
      };
      const key = JSON.stringify(convolution);
      const layer = layers.get(key) ?? {
        convolution,
        name: `${model} ${name}`,
        uses: new Map(),
        first: from[0] === -1,
      };
      layer.uses.set(model, (layer.uses.get(model) ?? 0) + 1);
      layers.set(key, layer);
    }
  }
  return [...layers.values()];
}

interface Opened {
  /** Operations of the direct sum. */
  readonly operations: number;
  readonly outputs: Readonly<Record<Direction, Node>>;
}

/** The layer's operation and its two adjoints, each with inputs of its own. */
function trace({ batch, image, window, stride, padding, dilation, groups }: Convolution): Opened {
  const y = convolve(input('x', [batch, ...image]), input('weight', window), {
    stride,
    padding,
    dilation,
    groups,
  });
  // A pixel for itself is a matrix product, seen as images.
  const computed = y.op === 'reshape' ? y.inputs[0]! : y;
  const rule = opNamed(computed.op).gradient;
  if ('none' in rule) throw new Error(`'${computed.op}' has no gradient`);
  const [byImage, byWeight] = rule(computed, input('g', computed.shape));
  const taps = window[0]! * window[1]! * window[2]!;
  return {
    operations: 2 * taps * y.shape.reduce((count, extent) => count * extent, 1),
    outputs: { forward: computed, image: byImage!, weight: byWeight! },
  };
}

enableRevectorization();
const machine = machineWith(selectKernel().name);
console.log(machine);
const peers = await openPeers(values['no-peer'] ? {} : { PyTorch: { script: 'kernels.py' } }, values.python);

const text = ({ stride, window, image, batch }: Convolution) => {
  const by = stride.join() === '1,1' ? '' : ` / ${stride[0]}`;
  return [`${batch} x ${image.join(' x ')}`, `${window[0]} x ${window[1]}${by} to ${window[3]}`];
};
const cell = ({ cpu }: Figure) => cpu.toFixed(2);
const results = [];
console.log('\nms of CPU time; GFLOP/s of the direct sum\n');
const table = openTable([
  'layer',
  'images',
  'window',
  'direction',
  'kasane, ms',
  'GFLOP/s',
  ...peerHeadings(peers, 'ms'),
]);
for (const { convolution, name, uses, first } of layersOf(models)) {
  const { operations, outputs } = trace(convolution);
  for (const direction of directions) {
    if (first && direction === 'image') continue;
    const program = await compileProgram([outputs[direction]]);
    for (const values of Object.values(program.inputs)) fill(values);
    const contenders = [ours(program.run), ...peers.map((peer) => peer.on({ ...convolution, direction }))];
    const [own, ...theirs] = (await takeTurns(contenders, turns)) as [Figure, ...(Figure | undefined)[]];
    const speed = operations / own.cpu / 1e6;
    table([
      name,
      ...text(convolution),
      direction,
      cell(own),
      speed.toFixed(0),
      ...peerCells(own, theirs, cell),
    ]);
    const found = { kasane: own, operations, peers: byPeer(peers, theirs) };
    results.push({ ...convolution, name, direction, uses: Object.fromEntries(uses), ...found });
  }
}
for (const { close } of peers) close();

console.log('\nAll of a model, ms of CPU time\n');
const totals = openTable([
  'model',
  'batch',
  'direction',
  'kasane, ms',
  'GFLOP/s',
  ...peerHeadings(peers, 'ms'),
]);
for (const model of models) {
  const own = results.filter(({ uses }) => uses[model]);
  for (const direction of directions) {
    const list = own.filter((result) => result.direction === direction);
    const sum = (pick: (result: (typeof list)[number]) => number) =>
      list.reduce((total, result) => total + result.uses[model]! * pick(result), 0);
    const figure = (pick: (result: (typeof list)[number]) => Figure): Figure => ({
      cpu: sum((result) => pick(result).cpu),
      best: sum((result) => pick(result).best),
    });
    const total = figure(({ kasane }) => kasane);
    const theirs = peers.map(({ name }) =>
      list.every(({ peers }) => peers[name]) ? figure(({ peers }) => peers[name]!) : undefined,
    );
    const speed = sum(({ operations }) => operations) / total.cpu / 1e6;
    totals([
      model,
      own[0]!.batch,
      direction,
      cell(total),
      speed.toFixed(0),
      ...peerCells(total, theirs, cell),
    ]);
  }
}
writeResults('convolution', machine, peers, results);
