/**
 * MNIST with few labels, for stacked.ts: 300 of its training images, and all of its test images.
 *
 *     node examples/own-model/few-labels.ts data/few-labels
 */
import { type IdxFolder, readIdxFolder } from '@kasane/data/idx';
import { mnistDirectory } from '@kasane/data/mnist';
import { packDataset, type Sample } from '@kasane/data/pack-dataset';

function* first(count: number, { pixels, labels }: IdxFolder['train']): Generator<Sample> {
  const width = pixels.length / labels.length;
  for (let i = 0; i < count; i++)
    yield { input: pixels.subarray(i * width, (i + 1) * width), target: labels[i]! };
}

const [folder = 'data/few-labels'] = process.argv.slice(2);
const mnist = readIdxFolder(mnistDirectory());
const { train, test, digest } = await packDataset(
  folder,
  {
    input: { dtype: 'u8', shape: [784] },
    target: { classes: Array.from({ length: 10 }, (_, digit) => String(digit)) },
  },
  { train: first(300, mnist.train), test: first(10_000, mnist.test) },
);
console.log(`${folder}: ${train} digits for training, ${test} for testing, SHA-256 of the index ${digest}`);
