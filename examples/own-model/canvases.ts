/**
 * Canvases for detector.ts: one to three of MNIST's digits at any place, scraps of other digits between them, and noise. The target has 15
 * numbers for each cell of a grid of 8 by 8, all 0 where no digit has its middle: whether there is one, where in the cell its middle is,
 * how wide and tall its box is (in parts of 28 pixels), and which of the ten it is.
 *
 *     node examples/own-model/canvases.ts data/canvases
 */
import { type IdxFolder, readIdxFolder } from '@kasane/data/idx';
import { mnistDirectory } from '@kasane/data/mnist';
import { packDataset, type Sample } from '@kasane/data/pack-dataset';
import { randomFrom } from './random.ts';

const [SIZE, CELL, IMAGE, NUMBERS] = [64, 8, 28, 15];
const CELLS = SIZE / CELL;

/** The box around the ink of an image: first and last column, first and last row. */
function boxOf(image: Uint8Array) {
  const ink = [...image.keys()].filter((i) => image[i]! > 64);
  const [columns, rows] = [ink.map((i) => i % IMAGE), ink.map((i) => Math.floor(i / IMAGE))];
  return {
    left: Math.min(...columns),
    right: Math.max(...columns) + 1,
    top: Math.min(...rows),
    bottom: Math.max(...rows) + 1,
  };
}

function* canvases({ pixels, labels }: IdxFolder['train'], count: number, seed: number): Generator<Sample> {
  const random = randomFrom(seed);
  const whole = (least: number, below: number) => least + Math.floor((below - least) * random());
  for (let i = 0; i < count; i++) {
    const input = new Uint8Array(SIZE * SIZE).map(() => whole(0, 96));
    const target = new Float32Array(CELLS * CELLS * NUMBERS);
    /** Draws part of an image, whose top left corner is on the canvas there. */
    const draw = (
      image: Uint8Array,
      { left, right, top, bottom }: ReturnType<typeof boxOf>,
      x: number,
      y: number,
    ) => {
      for (let row = top; row < bottom; row++)
        for (let column = left; column < right; column++) {
          const at = (y + row - top) * SIZE + x + column - left;
          input[at] = Math.max(input[at]!, image[row * IMAGE + column]!);
        }
    };
    const anyImage = () => {
      const index = whole(0, labels.length);
      return { image: pixels.subarray(index * IMAGE ** 2, (index + 1) * IMAGE ** 2), label: labels[index]! };
    };
    for (let scrap = 0; scrap < 6; scrap++) {
      const [left, top] = [whole(6, 16), whole(6, 16)];
      draw(
        anyImage().image,
        { left, right: left + 6, top, bottom: top + 6 },
        whole(0, SIZE - 6),
        whole(0, SIZE - 6),
      );
    }
    const middles: [number, number][] = [];
    for (let digit = whole(1, 4); digit > 0; digit--) {
      const { image, label } = anyImage();
      const box = boxOf(image);
      const [width, height] = [box.right - box.left, box.bottom - box.top];
      const [x, y] = [whole(0, SIZE - width), whole(0, SIZE - height)];
      const [middleX, middleY] = [x + width / 2, y + height / 2];
      if (middles.some(([a, b]) => Math.hypot(a - middleX, b - middleY) < 18)) continue;
      middles.push([middleX, middleY]);
      draw(image, box, x, y);
      const cell = Math.floor(middleY / CELL) * CELLS + Math.floor(middleX / CELL);
      const place = [(middleX / CELL) % 1, (middleY / CELL) % 1, width / IMAGE, height / IMAGE];
      target.set([1, ...place], cell * NUMBERS);
      target[cell * NUMBERS + 5 + label] = 1;
    }
    yield { input, target };
  }
}

const [folder = 'data/canvases'] = process.argv.slice(2);
const mnist = readIdxFolder(mnistDirectory());
const { train, test, digest } = await packDataset(
  folder,
  {
    input: { dtype: 'u8', shape: [SIZE, SIZE, 1] },
    target: { shape: [CELLS, CELLS, NUMBERS] },
  },
  { train: canvases(mnist.train, 4_000, 1), test: canvases(mnist.test, 500, 2) },
);
console.log(`${folder}: ${train} canvases for training, ${test} for testing, SHA-256 of the index ${digest}`);
console.log('Train on it: kasane train examples/own-model/detector.ts');
