/**
 * How well detector.ts finds the digits on the canvases for testing, in mean average precision (mAP) at an overlap of one half; and how
 * well a simple method does, which takes patches of bright pixels that touch each other for digits, and each for the one whose mean over
 * the training set looks most like it.
 *
 *     node examples/own-model/detections.ts .kasane/detector.safetensors data/canvases
 */
import { readFileSync } from 'node:fs';
import { type Dataset, readSamples } from '@kasane/data/dataset';
import { openPacked } from '@kasane/data/packed';
import { openWasmSession } from '@kasane/tensor/backends/wasm/session';
import { decodeModelFile } from '@kasane/tensor/io/model-file';
import { type Box, type Found, meanAveragePrecision, overlap, type Thing } from './average-precision.ts';

const [SIZE, CELL, CELLS, IMAGE, NUMBERS, DIGITS] = [64, 8, 8, 28, 15, 10];
/** Boxes of one digit that overlap more are of the same one: the surest of them stays. */
const SAME = 0.4;

interface Canvases {
  readonly pixels: readonly Uint8Array[];
  readonly things: readonly Thing[];
}

const boxAt = (x: number, y: number, width: number, height: number): Box => ({
  ...{ left: x - width / 2, right: x + width / 2 },
  ...{ top: y - height / 2, bottom: y + height / 2 },
});

/** What a cell's numbers say: where its box is. */
function boxOf(cell: number, [x, y, width, height]: readonly number[]): Box {
  const [column, row] = [cell % CELLS, Math.floor(cell / CELLS)];
  return boxAt(CELL * (column + x!), CELL * (row + y!), IMAGE * width!, IMAGE * height!);
}

async function read(data: Dataset): Promise<Canvases> {
  const all = Uint32Array.from({ length: data.samples }, (_, i) => i);
  const { inputs, targets } = await readSamples(data, all);
  const numbers = new Float32Array(targets.buffer, targets.byteOffset, targets.length / 4);
  const cells = Array.from({ length: data.samples * CELLS ** 2 }, (_, i) => ({
    ...{ picture: Math.floor(i / CELLS ** 2), cell: i % CELLS ** 2 },
    says: [...numbers.subarray(i * NUMBERS, (i + 1) * NUMBERS)],
  }));
  return {
    pixels: Array.from(all, (i) => inputs.subarray(i * SIZE ** 2, (i + 1) * SIZE ** 2)),
    things: cells
      .filter(({ says }) => says[0] === 1)
      .map(({ picture, cell, says }) => ({
        ...{ picture, kind: says.indexOf(1, 5) - 5, box: boxOf(cell, says.slice(1, 5)) },
      })),
  };
}

/** What the network finds. */
async function detections(weights: string, { pixels }: Canvases): Promise<Found[]> {
  const { model, parameters } = decodeModelFile(readFileSync(weights));
  const request = { mode: 'predict', samples: 1 } as const;
  const session = await openWasmSession(model, [request]);
  session.parameters.set(parameters);
  const program = session.program(request);
  const sure = (score: number) => 1 / (1 + Math.exp(-score));
  return pixels.flatMap((canvas, picture) => {
    program.x.set(Float32Array.from(canvas, (byte) => byte / 255));
    program.run();
    const found = Array.from({ length: CELLS ** 2 }, (_, cell) => {
      const [there, ...says] = [...program.logits.subarray(cell * NUMBERS, (cell + 1) * NUMBERS)].map(sure);
      const kinds = says.slice(4);
      const kind = kinds.indexOf(Math.max(...kinds));
      return { picture, kind, score: there! * kinds[kind]!, box: boxOf(cell, says) };
    }).sort((a, b) => b.score - a.score);
    const kept: Found[] = [];
    for (const one of found)
      if (kept.every(({ kind, box }) => kind !== one.kind || overlap(box, one.box) < SAME)) kept.push(one);
    return kept;
  });
}

/** 16 x 16 pixels of a canvas: what is in the box. */
const cut = (canvas: Uint8Array, { left, top, right, bottom }: Box): number[] =>
  Array.from({ length: 256 }, (_, i) => {
    const x = Math.floor(left + ((right - left) * ((i % 16) + 0.5)) / 16);
    const y = Math.floor(top + ((bottom - top) * (Math.floor(i / 16) + 0.5)) / 16);
    return canvas[y * SIZE + x] ?? 0;
  });

/** Boxes around pixels above `BRIGHT` that touch, at least `LEAST` of them. */
function patchesOf(canvas: Uint8Array): Box[] {
  const [BRIGHT, LEAST] = [128, 30];
  const left = new Set([...canvas.keys()].filter((i) => canvas[i]! > BRIGHT));
  const boxes: Box[] = [];
  for (const first of left) {
    const patch = [first];
    left.delete(first);
    // Grows while it is walked through.
    for (const at of patch)
      for (const step of [-SIZE - 1, -SIZE, -SIZE + 1, -1, 1, SIZE - 1, SIZE, SIZE + 1])
        if (Math.abs((at % SIZE) - ((at + step + SIZE) % SIZE)) < 2 && left.delete(at + step))
          patch.push(at + step);
    if (patch.length < LEAST) continue;
    const [columns, rows] = [patch.map((i) => i % SIZE), patch.map((i) => Math.floor(i / SIZE))];
    boxes.push({
      ...{ left: Math.min(...columns), right: Math.max(...columns) + 1 },
      ...{ top: Math.min(...rows), bottom: Math.max(...rows) + 1 },
    });
  }
  return boxes;
}

/** What the simple method finds. */
function brightPatches(train: Canvases, test: Canvases): Found[] {
  const means = Array.from({ length: DIGITS }, (_, digit) => {
    const own = train.things.filter(({ kind }) => kind === digit);
    const cuts = own.map(({ picture, box }) => cut(train.pixels[picture]!, box));
    return Array.from({ length: 256 }, (_, i) => cuts.reduce((sum, each) => sum + each[i]!, 0) / cuts.length);
  });
  return test.pixels.flatMap((canvas, picture) =>
    patchesOf(canvas).map((box) => {
      const seen = cut(canvas, box);
      const away = means.map((mean) => Math.hypot(...mean.map((value, i) => value - seen[i]!)));
      const kind = away.indexOf(Math.min(...away));
      return { picture, kind, score: -away[kind]!, box };
    }),
  );
}

const [weights = '.kasane/detector.safetensors', folder = 'data/canvases'] = process.argv.slice(2);
const { train, test } = await openPacked(folder, undefined, { roots: 'any', hosts: 'public' });
const [learned, tested] = [await read(train), await read(test)];
const percent = (found: Found[]) => `${(100 * meanAveragePrecision(found, tested.things)).toFixed(2)} %`;
console.log(`mAP at IoU 0.5 of ${tested.things.length} digits on ${tested.pixels.length} canvases`);
console.log(`detector        ${percent(await detections(weights, tested))}`);
console.log(`bright patches  ${percent(brightPatches(learned, tested))}`);
