/**
 * Triplets of MNIST's digits for siamese.ts: an image, another one of the same digit, and one of another digit. Training has the digits
 * 0 to 6, the test 7 to 9: it asks about digits that nobody has learned.
 *
 *     node examples/own-model/triplets.ts data/triplets
 */
import { readIdxFolder } from '@kasane/data/idx';
import { mnistDirectory } from '@kasane/data/mnist';
import { packDataset, type Sample } from '@kasane/data/pack-dataset';
import { randomFrom } from './random.ts';

const PIXELS = 28 * 28;
const mnist = readIdxFolder(mnistDirectory());

function* triplets(part: 'train' | 'test', digits: number[], count: number, seed: number): Generator<Sample> {
  const { pixels, labels } = mnist[part];
  const random = randomFrom(seed);
  const oneOf = <T>(list: readonly T[]): T => list[Math.floor(list.length * random())]!;
  const images = new Map(
    digits.map((digit) => [digit, [...labels.keys()].filter((image) => labels[image] === digit)]),
  );
  for (let i = 0; i < count; i++) {
    const digit = oneOf(digits);
    const other = oneOf(digits.filter((each) => each !== digit));
    const input = new Uint8Array(3 * PIXELS);
    for (const [place, each] of [digit, digit, other].entries()) {
      const image = oneOf(images.get(each)!);
      input.set(pixels.subarray(image * PIXELS, (image + 1) * PIXELS), place * PIXELS);
    }
    yield { input, target: digit };
  }
}

const [folder = 'data/triplets'] = process.argv.slice(2);
const { train, test, digest } = await packDataset(
  folder,
  { input: { dtype: 'u8', shape: [3 * PIXELS] }, target: { shape: [] } },
  {
    train: triplets('train', [0, 1, 2, 3, 4, 5, 6], 20_000, 1),
    test: triplets('test', [7, 8, 9], 4_000, 2),
  },
);
console.log(`${folder}: ${train} triplets for training, ${test} for testing, SHA-256 of the index ${digest}`);
console.log('Train on it: kasane train examples/own-model/siamese.ts');
