/** Makes the data of "Learn by layers" (docs/learn): points, sequences and texts by formulas, and parts of the MNIST that comes along. */
import { join } from 'node:path';
import type { Dataset } from '@kasane/data/dataset';
import { openIdx } from '@kasane/data/idx';
import { mnistDirectory } from '@kasane/data/mnist';
import { cosineOfPi } from '@kasane/tensor/internal/optim/exact';
import { keyOfSeed, philox4x32, unitInterval } from '@kasane/tensor/random';

const SIDE = 28;
const PIXELS = SIDE * SIDE;
const DIGITS = 10;

/** Numbers in [0, 1), the same for the same name on every machine. */
function chance(name: string): () => number {
  const key = keyOfSeed([...name].reduce((sum, letter) => 31 * sum + letter.codePointAt(0)!, 0) % 2 ** 31);
  let drawn = 0;
  return () => unitInterval(philox4x32([drawn++, 0, 0, 0], key)[0]);
}

const csv = (head: readonly string[], rows: readonly (readonly (number | string)[])[]): string =>
  `${[head, ...rows].map((row) => row.join()).join('\n')}\n`;
const rounded = (value: number): number => Math.round(1000 * value) / 1000;
const pick = <T>(list: ArrayLike<T>, at: number): T => list[Math.floor(at * list.length)]!;
const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));

/** Of an angle in half turns, 0 or more. */
function cosine(angle: number): number {
  const turned = angle % 2;
  return cosineOfPi(turned > 1 ? 2 - turned : turned);
}

/** Two arms that wind around each other. */
function spirals(): string {
  const next = chance('spirals');
  const rows = times(1000, (i) => {
    const arm = i % 2;
    const radius = 0.1 + 0.9 * Math.sqrt(next());
    // In half turns.
    const angle = 3.2 * radius + arm;
    const noise = () => 0.04 * (next() - 0.5);
    return [
      rounded(radius * cosine(angle) + noise()),
      rounded(radius * cosine(angle + 1.5) + noise()),
      pick(['red', 'blue'], arm / 2),
    ];
  });
  return csv(['x', 'y', 'arm'], rows);
}

/** Texts of eighty letters. One of them, anywhere, is from a to d, and that is the class. */
function memory(): string {
  const next = chance('memory');
  const rows = times(4000, () => {
    const letters = times(80, () => pick('wxyz', next()));
    const letter = pick('abcd', next());
    letters[Math.floor(next() * letters.length)] = letter;
    return [letters.join(''), letter];
  });
  return csv(['text', 'label'], rows);
}

/** Lines of eight letters, and of the same letters backwards. */
function backwards(): string {
  const next = chance('backwards');
  return times(3000, () => {
    const letters = times(8, () => pick('abcdefghijklmnop', next()));
    return `${letters.join('')}>${letters.toReversed().join('')}\n`;
  }).join('');
}

/** Words of an invented language, in which consonants and vowels alternate. */
function words(): string {
  const next = chance('words');
  return times(3000, () =>
    times(1 + Math.floor(3 * next()), () => pick('kstnhmrg', next()) + pick('aiueo', next())).join(''),
  ).join(' ');
}

interface Chosen {
  readonly train: number;
  readonly test: number;
  /** First and last digit. Default: all. */
  readonly digits?: readonly [number, number];
  /** One training label in so many is wrong. Default: none. */
  readonly wrong?: number;
  /** Pixels by which the images for testing are shifted, at most, in both directions. */
  readonly shift?: number;
}

/** The first images of the chosen digits, as many of each, as a folder of IDX files. */
function* digitFiles(name: string, { train, test, digits = [0, 9], wrong = 0, shift = 0 }: Chosen) {
  const mnist = openIdx(mnistDirectory());
  const parts = { train: firstOf(mnist.train, digits, train), t10k: firstOf(mnist.test, digits, test) };
  const next = chance(name);
  if (wrong > 0)
    for (const [at, label] of parts.train.labels.entries())
      if (next() * wrong < 1)
        parts.train.labels[at] = (label + 1 + Math.floor(next() * (DIGITS - 1))) % DIGITS;
  if (shift > 0) shiftImages(parts.t10k.pixels, shift, next);
  for (const [prefix, { pixels, labels }] of Object.entries(parts)) {
    yield [join(name, `${prefix}-images-idx3-ubyte`), idx([labels.length, SIDE, SIDE], pixels)] as const;
    yield [join(name, `${prefix}-labels-idx1-ubyte`), idx([labels.length], labels)] as const;
  }
}

function firstOf(part: Dataset, [first, last]: readonly [number, number], count: number) {
  const each = count / (last - first + 1);
  const all = { pixels: new Uint8Array(part.samples * PIXELS), labels: new Uint8Array(part.samples) };
  part.gather(
    Uint32Array.from({ length: part.samples }, (_, at) => at),
    all.pixels,
    all.labels,
  );
  const taken = times(DIGITS, () => 0);
  const chosen = [...all.labels.keys()].filter((at) => {
    const label = all.labels[at]!;
    if (label < first || label > last || taken[label]! >= each) return false;
    taken[label] = taken[label]! + 1;
    return true;
  });
  const pixels = new Uint8Array(count * PIXELS);
  for (const [at, id] of chosen.entries())
    pixels.set(all.pixels.subarray(id * PIXELS, (id + 1) * PIXELS), at * PIXELS);
  return { pixels, labels: Uint8Array.from(chosen, (id) => all.labels[id]!) };
}

function shiftImages(pixels: Uint8Array, most: number, next: () => number): void {
  const draw = () => Math.floor(next() * (2 * most + 1)) - most;
  for (let start = 0; start < pixels.length; start += PIXELS) {
    const image = pixels.slice(start, start + PIXELS);
    const [down, right] = [draw(), draw()];
    for (let at = 0; at < PIXELS; at++) {
      const [row, column] = [Math.floor(at / SIDE) - down, (at % SIDE) - right];
      const isInside = row >= 0 && row < SIDE && column >= 0 && column < SIDE;
      pixels[start + at] = isInside ? image[row * SIDE + column]! : 0;
    }
  }
}

function idx(shape: readonly number[], bytes: Uint8Array): Uint8Array {
  const header = new DataView(new ArrayBuffer(4 + 4 * shape.length));
  header.setUint8(2, 8);
  header.setUint8(3, shape.length);
  for (const [axis, extent] of shape.entries()) header.setUint32(4 + 4 * axis, extent);
  const file = new Uint8Array(header.byteLength + bytes.length);
  file.set(new Uint8Array(header.buffer));
  file.set(bytes, header.byteLength);
  return file;
}

/** The files, by their paths in the folder. */
export function* learnFiles(): Generator<readonly [path: string, content: string | Uint8Array]> {
  yield ['spirals.csv', spirals()];
  yield ['memory.csv', memory()];
  yield ['backwards.txt', backwards()];
  yield ['words.txt', words()];
  yield* digitFiles('digits', { train: 5000, test: 1000 });
  yield* digitFiles('shifted', { train: 5000, test: 1000, shift: 3 });
  yield* digitFiles('few', { train: 500, test: 1000, wrong: 5 });
  yield* digitFiles('low', { train: 5000, test: 1000, digits: [0, 4] });
  yield* digitFiles('high', { train: 50, test: 1000, digits: [5, 9] });
}
