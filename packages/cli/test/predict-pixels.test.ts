/** What was bytes in training is the same in predictions: IDX files, plain and packed, of any shape, for models of any input. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describeSamples } from '@kasane/coordinator/internal/submit/describe-job';
import { loadData } from '@kasane/coordinator/internal/submit/load-data';
import { type DataParts, readSamples } from '@kasane/data/dataset';
import { anywhere } from '@kasane/data/internal/files/access';
import { inputReader } from '@kasane/data/internal/normalize';
import { packData } from '@kasane/data/pack';
import { checkJob } from '@kasane/protocol/job';
import { encodeModelFile } from '@kasane/tensor/io/model-file';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { evaluate } from '../src/commands/eval/eval.ts';
import { readInputs } from '../src/commands/predict/inputs.ts';
import type { Trained } from '../src/model/trained.ts';

vi.setConfig({ testTimeout: 60_000 });

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-pixels-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const SAMPLES = 3;
const size = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
const idx = (shape: readonly number[], bytes: Uint8Array) =>
  Buffer.concat([
    Buffer.from([0, 0, 8, shape.length]),
    ...shape.map((n) => Buffer.from([0, 0, n >> 8, n & 255])),
    bytes,
  ]);

/** Dark at the border, as digits are: nothing is inverted. Of each sample the bytes are others. */
const pixelsOf = (shape: readonly number[]) =>
  Uint8Array.from({ length: SAMPLES * size(shape) }, (_, i) => (i * 37) % 120);

function writeIdx(name: string, shape: readonly number[], packed: boolean): string {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  const labels = idx([SAMPLES], Uint8Array.of(0, 1, 0));
  const images = idx([SAMPLES, ...shape], pixelsOf(shape));
  for (const part of ['train', 't10k']) {
    for (const [kind, bytes] of [
      ['images-idx3', images],
      ['labels-idx1', labels],
    ] as const)
      writeFileSync(
        join(path, `${part}-${kind}-ubyte${packed ? '.gz' : ''}`),
        packed ? gzipSync(bytes) : bytes,
      );
  }
  return path;
}

const jobOf = (data: object, input: readonly number[]) =>
  checkJob({
    ...{ name: 'a', data, objective: { type: 'classification' } },
    model: { input, classes: 2, layers: [{ type: 'flatten' }, { type: 'dense', units: 2 }] },
  });

const formats = {
  idx: async (name: string, shape: readonly number[]) => idxOf(writeIdx(name, shape, false)),
  'idx.gz': async (name: string, shape: readonly number[]) => idxOf(writeIdx(name, shape, true)),
  packed: async (name: string, shape: readonly number[]) => {
    const data = idxOf(writeIdx(`${name}-from`, shape, true));
    const path = join(folder, `${name}-packed`);
    await packData(await loadData(jobOf(data, [size(shape)]), anywhere), path);
    return { format: 'packed', path };
  },
};
const idxOf = (path: string) => ({ format: 'idx', path, mean: 0.2, std: 0.5 });

const kept = ({ preparation }: DataParts) => JSON.parse(JSON.stringify(preparation)) as typeof preparation;

describe.each(Object.entries(formats))('%s', (format, write) => {
  it.each<[shape: number[], input: number[]]>([
    [
      [4, 4],
      [4, 4],
    ],
    [[4, 4], [16]],
    [
      [4, 4],
      [16, 1],
    ],
    [
      [4, 4],
      [1, 4, 4],
    ],
    [
      [4, 4],
      [4, 4, 1],
    ],
    [
      [2, 8],
      [2, 8, 1],
    ],
    [[2, 8], [16]],
    [[8, 2], [16]],
    [
      [8, 2],
      [1, 16],
    ],
    [[3, 5], [15]],
    [[4, 4, 3], [48]],
    [
      [4, 4, 3],
      [4, 4, 3],
    ],
    [[2, 6, 3], [36]],
    [
      [2, 2, 5],
      [2, 2, 5],
    ],
    [[9], [9]],
  ])('samples of %j, a model that takes %j', async (shape, input) => {
    const name = `${format}-${shape.join('x')}-${input.join('x')}`;
    const job = jobOf(await write(name, shape), input);
    const data = await loadData(job, anywhere);
    const { inputs } = await readSamples(data.train, Uint32Array.of(1));
    const trained = new Float32Array(size(shape));
    const { mean, std } = describeSamples(job, data);
    inputReader(data.train.input, mean, std)(inputs, trained);

    const [height, width, channels = 1] = shape as [number, number, number?];
    const isImage = shape.length > 1 && (channels === 1 || channels === 3);
    let given = inputs.join(',');
    if (isImage) {
      given = join(folder, `${name}.png`);
      const raw = { height, width, channels } as const;
      await sharp(inputs, { raw: raw as never })
        .png()
        .toFile(given);
    }
    const weights = { model: { sampleShape: input }, preparation: kept(data) } as unknown as Trained;
    const [sample] = await readInputs(weights, given, {});
    expect([...sample!.x]).toEqual([...trained]);
  });

  it('evaluation refuses samples of another layout, and other means', async () => {
    const data = await write(`${format}-eval`, [2, 8]);
    const { model, objective, spec } = jobOf(data, [16]);
    const { preparation } = await loadData(jobOf(data, [16]), anywhere);
    const file = join(folder, `${format}.safetensors`);
    const { path, ...rest } = spec.data as { path: string };
    const about = { job: 'a', objective, preparation, data: rest };
    writeFileSync(file, encodeModelFile({ model, parameters: new Float32Array(34), about }));
    const out = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    try {
      const on = async (place: string) => evaluate(file, { coordinator: '127.0.0.1:1', data: place });
      await on(path);
      for (const shape of [[8, 2], [4, 4], [16]]) {
        const other = (await write(`${format}-eval-${shape.join('x')}`, shape)) as { path: string };
        await expect(on(other.path)).rejects.toThrow(
          `samples of the data are ${shape.join(' x ')}, but ${file} was trained with 2 x 8`,
        );
      }
      // IDX files say nothing of it: there the weights' own means hold.
      if (format === 'packed') {
        const from = { ...idxOf(writeIdx('other-means', [2, 8], false)), mean: 0.3 };
        const other = join(folder, 'other-means-packed');
        await packData(await loadData(jobOf(from, [16]), anywhere), other);
        await expect(on(other)).rejects.toThrow('the data differs from what');
      }
    } finally {
      out.mockRestore();
    }
  });
});

it('weights of a square say what they said before shapes were kept', async () => {
  const data = await loadData(jobOf(await formats.idx('square', [4, 4]), [16]), anywhere);
  expect(kept(data)).toEqual({ mean: 0.2, std: 0.5 });
});

it.each(['1,2,3', '1,2,3,4,5,6,7,8,256', '1,2,3,4,5,6,7,8,0.5', '-1,2,3,4,5,6,7,8,9'])(
  'numbers that are no bytes are refused: %s',
  async (given) => {
    const weights = { model: { sampleShape: [9] }, preparation: { mean: 0, std: 1, shape: [9] } };
    await expect(readInputs(weights as unknown as Trained, given, {})).rejects.toThrow(
      /expected 9 whole numbers from 0 to 255/,
    );
  },
);

it('images that are transparent where those of training are not are evaluated as they are predicted', async () => {
  const imagesOf = async (name: string, alpha: number) => {
    const path = join(folder, name);
    for (const [at, label] of ['dark', 'light'].entries()) {
      mkdirSync(join(path, label), { recursive: true });
      for (let i = 0; i < 6; i++) {
        const background = { r: 200 * at + i, g: 0, b: 0, alpha };
        const create = { width: 4, height: 4, channels: alpha < 1 ? 4 : 3, background } as const;
        await sharp({ create })
          .png()
          .toFile(join(path, label, `${i}.png`));
      }
    }
    return path;
  };
  const path = await imagesOf('opaque', 1);
  const { model, objective, spec } = jobOf({ format: 'imagefolder', path, size: [4, 4] }, [4, 4, 3]);
  const { preparation } = await loadData(jobOf(spec.data, [4, 4, 3]), anywhere);
  const file = join(folder, 'opaque.safetensors');
  const { path: _, ...data } = spec.data as { path: string };
  const parameters = new Float32Array(model.parameterCount);
  writeFileSync(
    file,
    encodeModelFile({ model, parameters, about: { job: 'a', objective, preparation, data } }),
  );
  const out = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  try {
    await evaluate(file, { coordinator: '127.0.0.1:1', data: await imagesOf('transparent', 0.5) });
    expect(out.mock.calls.join()).toMatch(/^Test accuracy/);
  } finally {
    out.mockRestore();
  }
});
