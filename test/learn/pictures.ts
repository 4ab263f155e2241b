/** The pictures of docs/learn, each drawn from runs of the jobs beside it. */

import { join } from 'node:path';
import type { Preparation } from '@kasane/data/dataset';
import { openIdx } from '@kasane/data/idx';
import { SPECIAL_TOKENS } from '@kasane/data/internal/text/tokenizer';
import sharp from 'sharp';
import type { Experiments, Run } from './experiments.ts';
import {
  type Axis,
  COLORS,
  curves,
  grey,
  plane,
  signed,
  squares,
  svg,
  type Tile,
  text,
  tiles,
} from './svg.ts';

const SIDE = 28;
const MNIST = { mean: 0.1307, std: 0.3081 };

/** What draws the picture of a page, and the jobs whose runs it takes, in the order in which they run. */
interface Drawing {
  readonly jobs: readonly string[];
  /** With its ending. */
  readonly file: string;
  readonly draw: (runs: readonly Run[], experiments: Experiments) => string | Promise<Buffer>;
}

const range = (count: number) => Array.from({ length: count }, (_, index) => index);
const percent = (value: number) => `${value} %`;
const accuracyAxis = (from: number, ticks: readonly number[]): Axis => ({
  name: '',
  from,
  to: 100,
  ticks,
  say: percent,
});
const epochAxis = (to: number, ticks: readonly number[]): Axis => ({ name: 'epoch', from: 0, to, ticks });
const accuracies = ({ epochs }: Run, part: 'testMetric' | 'trainMetric') =>
  epochs.map((result) => [result.epoch, 100 * result[part]] as const);

/** Where a neuron of two inputs says yes, and its line between. */
function drawNeuron([run]: readonly Run[]): string {
  const [wa, wb] = run!.network.parameter('dense1.weight')!.values;
  const [bias] = run!.network.parameter('dense1.bias')!.values;
  const sheet = { width: 420, height: 380, title: '01-neuron' };
  const axis = (name: string): Axis => ({ name, from: -0.4, to: 1.4, ticks: [0, 1] });
  const { x, y, frame } = plane(sheet, axis('a'), axis('b'));
  // wa a + wb b + bias = 0, within the frame.
  const bAt = (a: number) => -(wa! * a + bias!) / wb!;
  const aAt = (b: number) => -(wb! * b + bias!) / wa!;
  const [a0, a1] = [Math.max(-0.4, aAt(1.4)), Math.min(1.4, aAt(-0.4))];
  const corner = `L${x(1.4)} ${y(bAt(a1))}L${x(1.4)} ${y(1.4)}L${x(a0)} ${y(1.4)}Z`;
  return svg(sheet, [
    `<path d="M${x(a0)} ${y(bAt(a0))}L${x(a1)} ${y(bAt(a1))}${corner}" fill="${COLORS[1]}" fill-opacity="0.15"/>`,
    ...frame,
    `<path d="M${x(a0)} ${y(bAt(a0))}L${x(a1)} ${y(bAt(a1))}" stroke="${COLORS[1]}" stroke-width="2.5"/>`,
    ...[0, 1].flatMap((a) =>
      [0, 1].map((b) => {
        const isYes = a * b === 1;
        return `<circle cx="${x(a)}" cy="${y(b)}" r="8" fill="${isYes ? COLORS[1] : '#fff'}" stroke="${isYes ? COLORS[1] : COLORS[0]}" stroke-width="3"/>`;
      }),
    ),
    text(x(-0.3), y(-0.3), `${wa!.toFixed(1)} a + ${wb!.toFixed(1)} b − ${(-bias!).toFixed(1)} = 0`),
  ]);
}

/** What a network of two inputs says between `from` and `to`: above 0 for the one, below for the other. */
function regionOf({ network }: Run, from: number, to: number, cells: number): Tile {
  const values = range(cells * cells).map((at) => {
    const place = (cell: number) => from + ((to - from) * (cell + 0.5)) / cells;
    const point = Float32Array.of(place(at % cells), place(cells - 1 - Math.floor(at / cells)));
    const out = network.run(point).outputs.at(-1)!;
    const score = out.length === 1 ? out[0]! : out[1]! - out[0]!;
    return Math.tanh(score / 2);
  });
  return { width: cells, height: cells, values };
}

interface Point {
  readonly x: number;
  readonly y: number;
  readonly isFirst: boolean;
}

/** Regions of networks side by side, with the points that they separate. */
async function drawRegions(
  runs: readonly Run[],
  points: readonly Point[],
  [from, to]: readonly [number, number],
  radius: number,
): Promise<Buffer> {
  const [cells, scale, gap] = [60, 5, 6];
  const image = await tiles([runs.map((run) => regionOf(run, from, to, cells))], scale, soft);
  const side = cells * scale;
  const place = (value: number) => (side * (value - from)) / (to - from);
  const dots = runs.flatMap((_, at) =>
    points.map(
      ({ x, y, isFirst }) =>
        `<circle cx="${gap + at * (side + gap) + place(x)}" cy="${gap + side - place(y)}" r="${radius}" fill="${isFirst ? '#004b8d' : '#a83200'}" stroke="#fff" stroke-width="${radius / 4}"/>`,
    ),
  );
  const [width, height] = [gap + runs.length * (side + gap), side + 2 * gap];
  const over = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${dots.join('')}</svg>`;
  return sharp(image)
    .composite([{ input: Buffer.from(over) }])
    .png({ palette: true, colours: 48, dither: 0, compressionLevel: 9, effort: 10 })
    .toBuffer();
}

/** Paler than what lies on it. */
function soft(value: number): readonly number[] {
  return signed(0.6 * value, 1);
}

const xorPoints: readonly Point[] = [0, 1].flatMap((x) => [0, 1].map((y) => ({ x, y, isFirst: x === y })));

function spiralPoints(experiments: Experiments): Point[] {
  return experiments
    .read('spirals.csv')
    .trim()
    .split('\n')
    .slice(1)
    .filter((_, at) => at % 4 < 2)
    .map((line) => line.split(','))
    .map(([x, y, arm]) => ({ x: Number(x), y: Number(y), isFirst: arm === 'blue' }));
}

/** Test images of a folder of IDX files, each as bytes. */
function testImages(experiments: Experiments, folder: string, count: number): Uint8Array[] {
  const { test } = openIdx(join(experiments.data, folder));
  const pixels = new Uint8Array(count * SIDE * SIDE);
  test.gather(Uint32Array.from(range(count)), pixels, new Uint8Array(count));
  return range(count).map((at) => pixels.subarray(at * SIDE * SIDE, (at + 1) * SIDE * SIDE));
}

const digitTile = (values: Uint8Array): Tile => ({ width: SIDE, height: SIDE, values });

/** The maps of a layer [rows, columns, channels]. */
function mapsOf(values: Float32Array, side: number, channels: number): Tile[] {
  return range(channels).map((channel) => ({
    width: side,
    height: side,
    values: range(side * side).map((pixel) => values[pixel * channels + channel]!),
  }));
}

/** How many filters of the first layer are edges: one side of them is positive, the opposite one negative. */
export function edgesOf({ network }: Run): number {
  const { values } = network.parameter('conv2d1.weight')!;
  const sumOf = ({ values }: Tile, isIn: (row: number, column: number) => boolean) =>
    range(25).reduce((sum, at) => sum + (isIn(Math.floor(at / 5), at % 5) ? values[at]! : 0), 0);
  return mapsOf(values, 5, 8).filter((filter) => {
    const sides = [
      [sumOf(filter, (row) => row < 2), sumOf(filter, (row) => row > 2)],
      [sumOf(filter, (_, column) => column < 2), sumOf(filter, (_, column) => column > 2)],
    ] as const;
    return sides.some(([one, other]) => one * other < 0);
  }).length;
}

/** The filters of the first layer, a digit, and where it and the second one find their patterns in it. */
function drawFilters([run]: readonly Run[], experiments: Experiments): Promise<Buffer> {
  const { network } = run!;
  const weights = network.parameter('conv2d1.weight')!;
  const [digit] = testImages(experiments, 'digits', 1);
  const { outputs } = network.run(
    Float32Array.from(digit!, (value) => (value / 255 - MNIST.mean) / MNIST.std),
  );
  const [first, second] = [outputs[1]!, outputs[4]!];
  const filters = mapsOf(weights.values, 5, 8).map((tile) => ({ ...tile, scale: 14, paint: signed }));
  const maps = mapsOf(first, SIDE, 8).map((tile) => ({ ...tile, scale: 2.5 }));
  const parts = mapsOf(second, SIDE / 2, 16).map((tile) => ({ ...tile, scale: 5 }));
  const same = { ...digitTile(digit!), scale: 2.5 };
  return tiles([[same], filters, maps, parts.slice(0, 8), parts.slice(8)], 1, grey);
}

/** Digits as they are trained on, and as they are tested on. */
function drawShifts(_: readonly Run[], experiments: Experiments): Promise<Buffer> {
  const rows = ['digits', 'shifted'].map((folder) => testImages(experiments, folder, 8).map(digitTile));
  return tiles(rows, 2, grey);
}

function drawDropout(runs: readonly Run[]): string {
  const sheet = { width: 640, height: 340, title: '06-plain, 06-dropout' };
  const ticks = [60, 70, 80, 90, 100];
  return curves(
    sheet,
    epochAxis(30, [0, 10, 20, 30]),
    accuracyAxis(60, ticks),
    runs.flatMap((run, color) => {
      const name = run.job.name.slice(3);
      const above = (points: readonly (readonly [number, number])[]) =>
        points.filter(([, value]) => value >= 60);
      return [
        {
          name: `${name}, train`,
          color,
          dashed: true,
          points: above(accuracies(run, 'trainMetric')),
        },
        { name: `${name}, test`, color, points: above(accuracies(run, 'testMetric')) },
      ];
    }),
  );
}

/** The gradient norm of the layers `layer1` to `layer10` in the first step. */
export function firstGradients({ steps }: Run): number[] {
  const norms = new Map(steps[0]!.layers.map(({ layer, gradientNorm }) => [layer, gradientNorm]));
  return range(10).map((at) => norms.get(`layer${at + 1}`)!);
}

function drawGradients(runs: readonly Run[]): string {
  const sheet = { width: 640, height: 360, title: runs.map(({ job }) => job.name).join(', ') };
  const ticks = [-6, -5, -4, -3, -2, -1, 0, 1].map((power) => 10 ** power);
  const up: Axis = {
    ...{ name: '', from: 1e-7, to: 10, ticks, log: true },
    say: (value) => value.toExponential(0).replace('e+', 'e'),
  };
  const across: Axis = {
    ...{ name: '', from: 1, to: 10, ticks: range(10).map((at) => at + 1) },
    say: (value) => (value === 1 ? 'layer1' : String(value)),
  };
  return curves(
    sheet,
    across,
    up,
    runs.map((run, color) => ({
      name: run.job.name.slice(3),
      color,
      points: firstGradients(run).map((norm, at) => [at + 1, norm] as const),
    })),
  );
}

const drawAccuracies =
  (to: number, from: number) =>
  (runs: readonly Run[]): string =>
    curves(
      { width: 640, height: 320, title: runs.map(({ job }) => job.name).join(', ') },
      epochAxis(
        to,
        [0, 0.25, 0.5, 0.75, 1].map((part) => Math.round(part * to)),
      ),
      accuracyAxis(
        from,
        [0, 20, 40, 60, 80, 100].filter((tick) => tick >= from),
      ),
      runs.map((run, color) => ({
        name: run.job.name.slice(3),
        color,
        points: accuracies(run, 'testMetric'),
      })),
    );

/** A line of the text, and how much the network looks at each letter when it writes the next one. */
export function attentionOfLine(run: Run): { readonly line: string; readonly weights: number[][] } {
  const line = 'hkbdmapc>cpamdbkh';
  const letters = lettersOf(run);
  const tokens = Float32Array.from([...line, '\n'], (letter) => letters.indexOf(letter));
  const { values, time } = run.network.run(tokens).attention.get('transformerBlock1')!;
  return { line, weights: range(time).map((row) => [...values.subarray(row * time, (row + 1) * time)]) };
}

/** The letters of a vocabulary, by their numbers. */
function lettersOf({ network }: Run): readonly (string | undefined)[] {
  const { text } = network.about.preparation as Preparation;
  const { tokenizer } = text!;
  if (tokenizer.kind !== 'character') throw new Error(`expected characters, not ${tokenizer.kind}`);
  return [...Array.from({ length: SPECIAL_TOKENS }, () => undefined), ...tokenizer.characters];
}

function drawAttention([run]: readonly Run[]): string {
  const { line, weights } = attentionOfLine(run!);
  const letters = [...line];
  return squares(
    '09-attention',
    weights.slice(8, 16).map((row) => row.slice(0, 9)),
    // Beside a row is what is written there: the letter that comes next.
    letters.slice(9, 17),
    letters.slice(0, 9),
  );
}

/** The vectors of the letters. */
export function vectorsOf(run: Run): Map<string, readonly [number, number]> {
  const { values } = run.network.parameter('embedding1.weight')!;
  return new Map(
    lettersOf(run).flatMap((letter, at) =>
      letter === undefined ? [] : [[letter, [values[2 * at]!, values[2 * at + 1]!] as const]],
    ),
  );
}

function drawVectors([run]: readonly Run[]): string {
  const vectors = [...vectorsOf(run!)];
  const most = Math.ceil(2 * Math.max(...vectors.flatMap(([, vector]) => vector.map(Math.abs)))) / 2;
  const sheet = { width: 460, height: 420, title: '10-embeddings' };
  const axis: Axis = { name: '', from: -most, to: most, ticks: [-most, 0, most] };
  const { x, y, frame } = plane(sheet, axis, axis);
  const kind = (letter: string) => ('aiueo'.includes(letter) ? 1 : letter === ' ' ? 2 : 0);
  return svg(sheet, [
    ...frame,
    ...vectors.map(([letter, [a, b]]) =>
      text(
        x(a),
        y(b) + 5,
        letter === ' ' ? '␣' : letter,
        `text-anchor="middle" style="font-size:18px;font-weight:600;fill:${COLORS[kind(letter)]}"`,
      ),
    ),
  ]);
}

/** By the number of the experiment. */
export const drawings: Readonly<Record<string, Drawing>> = {
  '01': { jobs: ['01-neuron'], file: '01-neuron.svg', draw: drawNeuron },
  '02': {
    jobs: ['02-xor-linear', '02-xor-tanh'],
    file: '02-xor.png',
    draw: (runs) => drawRegions(runs, xorPoints, [-0.5, 1.5], 9),
  },
  '03': {
    jobs: ['03-shallow', '03-deep'],
    file: '03-depth.png',
    draw: (runs, experiments) => drawRegions(runs, spiralPoints(experiments), [-1.2, 1.2], 2.5),
  },
  '04': { jobs: ['04-filters'], file: '04-filters.png', draw: drawFilters },
  '05': { jobs: ['05-dense', '05-conv', '05-pool'], file: '05-shifts.png', draw: drawShifts },
  '06': { jobs: ['06-plain', '06-dropout'], file: '06-dropout.svg', draw: drawDropout },
  '07': {
    jobs: ['07-sigmoid', '07-relu', '07-residual', '07-norm'],
    file: '07-gradients.svg',
    draw: drawGradients,
  },
  '08': { jobs: ['08-rnn', '08-lstm', '08-gru'], file: '08-memory.svg', draw: drawAccuracies(4, 0) },
  '09': { jobs: ['09-attention', '09-without'], file: '09-attention.svg', draw: drawAttention },
  '10': { jobs: ['10-embeddings'], file: '10-embeddings.svg', draw: drawVectors },
  '11': {
    jobs: ['11-source', '11-scratch', '11-transfer'],
    file: '11-transfer.svg',
    draw: ([, ...runs]) => drawAccuracies(8, 0)(runs),
  },
};
