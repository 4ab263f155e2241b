/**
 * Pictures for unet.ts: discs, squares and triangles in front of a background whose brightness changes from side to side, behind bars,
 * in noise. The target of a picture is its mask: 1 for a pixel at which a shape is to be seen, otherwise 0.
 *
 *     node examples/own-model/shapes.ts data/shapes
 */
import { packDataset, type Sample } from '@kasane/data/pack-dataset';
import { randomFrom } from './random.ts';

export const SIZE = 48;

/** Whether a point is inside, as seen from the middle, of shapes that reach `r` from it. */
const shapes: ((x: number, y: number, r: number) => boolean)[] = [
  (x, y, r) => x * x + y * y < r * r,
  (x, y, r) => Math.max(Math.abs(x), Math.abs(y)) < 0.8 * r,
  (x, y, r) => y < 0.7 * r && y > 2 * Math.abs(x) - r,
];

function picture(random: () => number): Sample {
  const between = (least: number, most: number) => least + (most - least) * random();
  const place = () => between(8, SIZE - 8);
  const [dark, right, down] = [between(0.1, 0.5), between(-0.4, 0.4), between(-0.4, 0.4)];
  const things = Array.from({ length: 1 + Math.floor(3 * random()) }, () => ({
    ...{ x: place(), y: place(), r: between(5, 10), light: between(0.15, 0.35) },
    inside: shapes[Math.floor(shapes.length * random())]!,
  }));
  // A bar is at least as bright as the shapes, and leans as it likes.
  const bars = Array.from({ length: 2 }, () => ({
    at: place(),
    lean: between(-1, 1),
    light: between(0.3, 0.9),
  }));
  const [input, target] = [new Uint8Array(SIZE * SIZE), new Uint8Array(SIZE * SIZE)];
  for (let i = 0; i < SIZE * SIZE; i++) {
    const [x, y] = [i % SIZE, Math.floor(i / SIZE)];
    const thing = things.find((each) => each.inside(x - each.x, y - each.y, each.r));
    const bar = bars.find(({ at, lean }) => Math.abs(x - at - lean * (y - SIZE / 2)) < 1.5);
    const ground = dark + (right * x + down * y) / SIZE;
    const noise = 0.2 * (random() + random() + random() - 1.5);
    const light = (bar?.light ?? ground + (thing?.light ?? 0)) + noise;
    input[i] = Math.round(255 * Math.min(1, Math.max(0, light)));
    target[i] = Number(thing !== undefined && bar === undefined);
  }
  return { input, target };
}

function* pictures(count: number, seed: number): Generator<Sample> {
  const random = randomFrom(seed);
  for (let i = 0; i < count; i++) yield picture(random);
}

const [folder = 'data/shapes'] = process.argv.slice(2);
const shape = [SIZE, SIZE, 1];
const { train, test, digest } = await packDataset(
  folder,
  { input: { dtype: 'u8', shape }, target: { shape } },
  { train: pictures(2000, 1), test: pictures(400, 2) },
);
console.log(`${folder}: ${train} pictures for training, ${test} for testing, SHA-256 of the index ${digest}`);
console.log('Train on it: kasane train examples/own-model/unet.ts');
