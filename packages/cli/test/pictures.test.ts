/** Pictures that are predicted on are read as those that were trained on: the same pixels, also of odd files and transparent ones. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Preparation } from '@kasane/data/dataset';
import { openImageFolder } from '@kasane/data/image-folder';
import { inputReader } from '@kasane/data/internal/normalize';
import sharp from 'sharp';
import { afterAll, expect, it } from 'vitest';
import { answerOf } from '../src/commands/predict/answers.ts';
import { readInputs } from '../src/commands/predict/inputs.ts';
import type { Trained } from '../src/model/trained.ts';

const folder = mkdtempSync(join(tmpdir(), 'kasane-pictures-'));
afterAll(() => rmSync(folder, { recursive: true }));
const put = (name: string, bytes: Uint8Array) => {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, bytes);
  return path;
};
const trainedOn = (preparation: Preparation, sampleShape: readonly number[]) =>
  ({ model: { sampleShape, description: { classes: 2 } }, preparation, about: {} }) as unknown as Trained;
const noise = (channels: 1 | 2 | 3 | 4) =>
  sharp(Buffer.from(Array.from({ length: 20 * 14 * channels }, (_, i) => (i * 7919) % 251)), {
    raw: { width: 20, height: 14, channels },
  });

const frames = sharp(Buffer.from(Array.from({ length: 20 * 14 * 3 }, (_, i) => (i * 7919) % 251)), {
  raw: { width: 20, height: 14, channels: 3, pageHeight: 7 },
});

it.each(['cover', 'contain', 'fill'] as const)(
  'training and predict see the same pixels: fit %s',
  async (fit) => {
    const files = {
      'a/1.jpg': await noise(3).withMetadata({ orientation: 6 }).jpeg().toBuffer(),
      'a/2.png': await noise(4).png().toBuffer(),
      'b/3.png': await noise(2).png().toBuffer(),
      'b/4.jpg': await noise(3).toColourspace('cmyk').jpeg().toBuffer(),
      'b/5.webp': await noise(4).webp().toBuffer(),
      'b/6.png': await noise(3).toColourspace('rgb16').png().toBuffer(),
      'b/7.png': await noise(3).withMetadata({ orientation: 8 }).png().toBuffer(),
      'b/8.webp': await noise(3).withMetadata({ orientation: 5 }).webp().toBuffer(),
      'b/9.webp': await frames.webp({ lossless: true }).toBuffer(),
    };
    for (const [name, bytes] of Object.entries(files)) put(`${fit}/${name}`, bytes);
    const path = join(folder, fit);
    const [mean, std] = [
      [0.4, 0.5, 0.6],
      [0.2, 0.3, 0.4],
    ];
    const { train, preparation } = await openImageFolder({
      ...{
        format: 'imagefolder',
        path,
        test: path,
        layout: 'auto',
        onDamaged: 'fail',
        validation: 0.5,
        seed: 1,
      },
      ...{ size: [9, 12], channels: 3, fit, background: 'auto', mean, std },
    });
    for (const [sample, name] of Object.keys(files).entries()) {
      const pixels = new Uint8Array(9 * 12 * 3);
      await train.gather(Uint32Array.of(sample), pixels, new Uint8Array(4));
      const x = new Float32Array(pixels.length);
      inputReader(train.input, mean, std)(pixels, x);
      const [read] = await readInputs(trainedOn(preparation, [9, 12, 3]), join(path, name), {});
      expect(read!.x, name).toEqual(x);
    }
  },
);

it('a digit is the same in black on white, in black on nothing and in white on nothing, and it is said', async () => {
  const stroke = async (ink: number, ground: number, opacity: number) => {
    const pixels = Buffer.alloc(28 * 28 * 4);
    for (let i = 0; i < 784; i++) {
      const drawn = i % 28 > 10 && i % 28 < 17 && i > 28 * 4 && i < 28 * 24;
      pixels.fill(drawn ? ink : ground, 4 * i, 4 * i + 3);
      pixels[4 * i + 3] = drawn ? 255 : opacity;
    }
    return put(
      `${ink}-${ground}-${opacity}.png`,
      await sharp(pixels, { raw: { width: 28, height: 28, channels: 4 } })
        .png()
        .toBuffer(),
    );
  };
  const digits = trainedOn({ mean: 0, std: 1 }, [28, 28]);
  const read = async (path: string) => (await readInputs(digits, path, {}))[0]!;
  const paper = await read(await stroke(0, 255, 255));
  expect(paper).toMatchObject({ inverted: true });
  const dark = await read(await stroke(0, 0, 0));
  expect(dark).toMatchObject({ inverted: true, background: 'white', x: paper.x });
  expect(await read(await stroke(255, 0, 0))).toMatchObject({
    inverted: false,
    background: 'black',
    x: paper.x,
  });
  const { line, record } = answerOf(digits, dark, Float32Array.of(1, 0));
  expect(line).toMatch(/, on a white background, inverted because its border is bright$/);
  expect(record).toMatchObject({ background: 'white' });

  // Where training had dark ink on a bright ground, it stays as it is.
  const [ink] = await readInputs(
    trainedOn({ mean: 0, std: 1, ground: 'bright' }, [28, 28]),
    join(folder, '0-255-255.png'),
    {},
  );
  expect(ink).toMatchObject({ inverted: false });
  expect(Math.max(...ink!.x)).toBe(1);
  expect(ink!.x).toEqual(paper.x.map((value) => 1 - value));
});
