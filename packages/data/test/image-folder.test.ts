import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Dataset } from '../src/dataset.ts';
import { type ImageFolderOptions, openImageFolder } from '../src/images/image-folder.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-images-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** One colour, and a corner of another so that turning shows. */
const picture = (red: number, green: number, blue: number, side = 8) =>
  sharp({ create: { width: side, height: side, channels: 3, background: { r: red, g: green, b: blue } } });
const write = (name: string, bytes: Uint8Array) => {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), bytes);
};
const open = (options: Partial<ImageFolderOptions> = {}) =>
  openImageFolder({
    format: 'imagefolder',
    layout: 'auto',
    path: folder,
    validation: 0.25,
    seed: 1,
    size: 4,
    channels: 3,
    fit: 'cover',
    background: 'auto',
    onDamaged: 'fail',
    mean: 0.5,
    std: 0.5,
    ...options,
  });
const gather = async (part: Dataset, ...indices: number[]) => {
  const size = part.input.shape.reduce((a, b) => a * b, 1);
  const [inputs, targets] = [new Uint8Array(size * indices.length), new Uint8Array(4 * indices.length)];
  await part.gather(Uint32Array.from(indices), inputs, targets);
  return { inputs, labels: [...new Int32Array(targets.buffer)] };
};

describe('an image folder', () => {
  it('reads JPEG, PNG and WebP, brings them to one size, and numbers classes by name', async () => {
    write(
      'train/b/1.jpg',
      await picture(200, 0, 0).jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).toBuffer(),
    );
    write('train/a/2.PNG', await picture(0, 200, 0, 16).png().toBuffer());
    write('train/a/deeper/3.webp', await picture(0, 0, 200, 4).webp({ lossless: true }).toBuffer());
    write('train/a/notes.txt', Buffer.from('no image'));
    write('val/b/4.png', await picture(9, 9, 9).png().toBuffer());
    const { train, test, preparation } = await open();
    expect([train.samples, test.samples, train.classes, test.classes]).toEqual([3, 1, 2, 2]);
    expect(preparation).toMatchObject({ classes: ['a', 'b'], image: { height: 4, width: 4, channels: 3 } });
    expect(train.input).toEqual({ dtype: 'u8', shape: [4, 4, 3] });
    const { inputs, labels } = await gather(train, 2, 0, 1);
    expect(labels).toEqual([1, 0, 0]);
    expect(Math.abs(inputs[0]! - 200)).toBeLessThan(4);
    expect([...inputs.subarray(48, 51), ...inputs.subarray(96, 99)]).toEqual([0, 200, 0, 0, 0, 200]);
    expect((await gather(test, 0)).labels).toEqual([1]);
  });

  it('reads GIF, AVIF and TIFF, as predictions do', async () => {
    write('train/a/1.gif', await picture(0, 0, 200).gif().toBuffer());
    write('train/a/2.tif', await picture(0, 0, 200).tiff().toBuffer());
    write('train/b/3.avif', await picture(200, 0, 0).avif({ lossless: true }).toBuffer());
    write('train/b/4.TIFF', await picture(200, 0, 0).tiff().toBuffer());
    write('val/a/5.png', await picture(0, 0, 200).png().toBuffer());
    const { train, notes = [] } = await open();
    expect(train.samples).toBe(4);
    expect(notes.join()).not.toMatch(/ignored|animated/);
    const { inputs, labels } = await gather(train, 0, 1, 2, 3);
    expect(labels).toEqual([0, 0, 1, 1]);
    for (const [at, color] of [200, 200, 0, 0].entries())
      expect(Math.abs(inputs[48 * at + 2]! - color)).toBeLessThan(5);
  });

  it('turns as EXIF says, puts what is transparent on black, makes grey, and keeps the shape asked for', async () => {
    const halves = Buffer.from([255, 255, 255, 255, 0, 0, 0, 0]);
    const left = sharp(halves, { raw: { width: 2, height: 4, channels: 1 } });
    write('train/a/1.png', await left.withMetadata({ orientation: 3 }).png().toBuffer());
    const clear = { r: 255, g: 255, b: 255, alpha: 0 };
    const empty = await sharp({ create: { width: 2, height: 4, channels: 4, background: clear } })
      .png()
      .toBuffer();
    for (const one of ['train/b/2.png', 'test/b/2.png']) write(one, empty);
    const { train } = await open({ size: [4, 2], channels: 1 });
    const shown = [await gather(train, 0), await gather(train, 1)].map(({ inputs }) => [...inputs].join());
    expect(shown.sort()).toEqual(['0,0,0,0,0,0,0,0', '0,0,0,0,255,255,255,255']);
  });

  it('keeps the same part of every class for testing, by the seed', async () => {
    for (let i = 0; i < 8; i++) {
      write(`a/${i}.png`, await picture(i, 0, 0).png().toBuffer());
      write(
        `b/${i}.png`,
        await picture(100 + i, 0, 0)
          .png()
          .toBuffer(),
      );
    }
    const kept = async (seed: number) => {
      const { train, test } = await open({ seed });
      expect([train.samples, test.samples]).toEqual([12, 4]);
      const { inputs, labels } = await gather(test, 0, 1, 2, 3);
      expect(labels).toEqual([0, 0, 1, 1]);
      return [0, 48, 96, 144].map((at) => inputs[at]).join();
    };
    expect(await kept(1)).toBe(await kept(1));
    expect(new Set([await kept(1), await kept(2), await kept(3)]).size).toBeGreaterThan(1);
  });
});

describe('damaged and odd files', () => {
  let made = 0;
  /** Each its own: the same image in two classes is refused. */
  const good = () =>
    picture((10 * ++made) % 256, 20, 30)
      .jpeg()
      .toBuffer();
  const noise = (side: number) =>
    sharp(Buffer.from(Array.from({ length: side * side * 3 }, (_, i) => (i * 7919) % 251)), {
      raw: { width: side, height: side, channels: 3 },
    });
  const odd: [string, string, () => Promise<Uint8Array>, RegExp][] = [
    [
      'a truncated JPEG',
      'x.jpg',
      async () => (await noise(32).jpeg().toBuffer()).subarray(0, -200),
      /it is truncated/,
    ],
    [
      'a truncated PNG',
      'x.png',
      async () => (await noise(32).png().toBuffer()).subarray(0, -20),
      /damaged or truncated/,
    ],
    [
      'a truncated WebP',
      'x.webp',
      async () => (await noise(32).webp().toBuffer()).subarray(0, -20),
      /damaged or truncated/,
    ],
    ['an empty file', 'x.jpg', async () => new Uint8Array(0), /it is empty/],
    [
      'something else',
      'x.jpg',
      async () => Buffer.from('<html>not found</html>'),
      /not an image in a supported format/,
    ],
  ];

  it.each(odd)('%s is named, or skipped with a count', async (_, name, make, message) => {
    for (const one of ['a/1.jpg', 'b/1.jpg', 'b/2.jpg']) write(one, await good());
    write(`a/${name}`, await make());
    await expect(open()).rejects.toThrow(message);
    await expect(open()).rejects.toThrow(new RegExp(`^${folder}/a/${name}: [^\\n]+onDamaged: skip$`));
    const { train, test, notes } = await open({ onDamaged: 'skip' });
    expect(train.samples + test.samples).toBe(3);
    expect(notes).toEqual([expect.stringMatching(/^skipped 1 of 4 images: /)]);
    expect(notes![0]).toMatch(message);
  });

  it('what was no image is not counted as one', async () => {
    for (const one of ['a/1.jpg', 'a/2.jpg', 'b/1.jpg', 'b/2.jpg']) write(one, await good());
    symlinkSync(join(folder, 'nowhere'), join(folder, 'a', 'more'));
    const { notes } = await open({ onDamaged: 'skip' });
    expect(notes).toEqual([expect.stringMatching(/^skipped \S+\/a\/more: /)]);
  });

  it('damage that only decoding shows is named when the sample is read, or skipped before', async () => {
    const bytes = await noise(64).png({ compressionLevel: 0 }).toBuffer();
    bytes.fill(0xaa, bytes.length >> 1, (bytes.length >> 1) + 40);
    for (const one of ['a/1.jpg', 'a/2.jpg', 'b/1.jpg', 'b/2.jpg']) write(one, await good());
    write('a/x.png', bytes);
    const { train, test } = await open();
    const all = [...Array(train.samples).keys()];
    const both = Promise.all([gather(train, ...all), gather(test, ...[...Array(test.samples).keys()])]);
    await expect(both).rejects.toThrow(
      /a\/x\.png: it is damaged or truncated\. Fix or remove it, or set data\.onDamaged: skip/,
    );
    const skipping = await open({ onDamaged: 'skip' });
    expect(skipping.train.samples + skipping.test.samples).toBe(4);
    expect(skipping.notes![0]).toMatch(/skipped 1 of 5 images: .*it is damaged/);
  });

  it('a JPEG with a film behind its end is whole, one whose thumbnail alone has an end is not', async () => {
    const thumbnail = Buffer.from([0xff, 0xe1, 0, 6, 0xff, 0xd8, 0xff, 0xd9]);
    const whole = Buffer.from(await good());
    const phone = Buffer.concat([whole.subarray(0, 2), thumbnail, whole.subarray(2), Buffer.alloc(4000)]);
    for (const [i, one] of ['a/1.jpg', 'b/1.jpg', 'b/2.jpg'].entries())
      write(one, phone.fill(i, phone.length - 9));
    const { train } = await open();
    expect((await gather(train, 0)).inputs).toHaveLength(48);
    write(
      'a/3.jpg',
      Buffer.concat([phone.subarray(0, 2 + thumbnail.length + whole.length - 10), Buffer.alloc(99)]),
    );
    await expect(open()).rejects.toThrow(/3\.jpg: it is truncated/);
  });

  it('files of other kinds are counted', async () => {
    for (const one of ['a/1.jpg', 'a/2.jpg', 'b/1.jpg', 'b/2.jpg']) write(one, await good());
    for (const one of ['1.HEIC', '2.heic', 'Makefile']) write(`a/${one}`, Buffer.from('x'));
    const { preparation, notes } = await open();
    expect(preparation.classes).toEqual(['a', 'b']);
    expect(notes).toEqual([
      `${folder}: only JPEG, PNG, WebP, GIF, AVIF, TIFF files are used; ignored: 2 .heic, 1 without an extension`,
    ]);
    write('c/1.heic', Buffer.from('x'));
    await expect(open()).rejects.toThrow(
      /c: this class has no usable images \(JPEG, .*TIFF\); ignored: 1 \.heic\. Save images as JPEG or PNG, with that extension\. Fix this, or set data.onDamaged: skip$/,
    );
  });

  it('offers to skip only where something is left', async () => {
    for (const one of ['a/1.heic', 'b/1.heic']) write(one, Buffer.from('x'));
    await expect(open()).rejects.toThrow(
      /ignored: 1 \.heic\. Save images as JPEG or PNG, with that extension$/,
    );
  });

  it('says what is missing where each class has one image', async () => {
    for (const one of ['a/1.jpg', 'b/1.jpg']) write(one, await good());
    await expect(open()).rejects.toThrow(/each class has only one image.*or set data\.test/);
  });

  it('an empty class is named, or left out', async () => {
    write('a/1.jpg', await good());
    write('c/2.jpg', await good());
    mkdirSync(join(folder, 'b'));
    await expect(open()).rejects.toThrow(
      /\/b: this class has no usable images \(JPEG, PNG, WebP, GIF, AVIF, TIFF\)/,
    );
    const skipping = open({ onDamaged: 'skip', test: folder });
    expect((await skipping).preparation.classes).toEqual(['a', 'c']);
  });

  it('says what kind of folder is expected', async () => {
    await expect(open({ path: join(folder, 'nowhere') })).rejects.toThrow(/folder not found/);
    await expect(open()).rejects.toThrow(/it has no folders; expected one folder per class/);
    write('a/1.jpg', await good());
    await expect(open({ test: join(folder, 'other') })).rejects.toThrow(/other: file or folder not found/);
    write('test/z/1.jpg', readFileSync(join(folder, 'a/1.jpg')));
    write('b/1.jpg', await good());
    await expect(open({ test: join(folder, 'test') })).rejects.toThrow(
      /class 'z' is not among the classes of/,
    );
  });
});

it('an image that is another one than when the data was opened is refused when it is read', async () => {
  for (const name of ['a', 'b'])
    for (let i = 0; i < 8; i++)
      write(
        `${name}/${i}.png`,
        await picture(20 * i, name === 'a' ? 9 : 99, 5)
          .png()
          .toBuffer(),
      );
  const { train } = await open({ keep: false });
  const all = Array.from({ length: train.samples }, (_, index) => index);
  await gather(train, ...all);
  for (const name of ['a', 'b'])
    for (let i = 0; i < 8; i++) write(`${name}/${i}.png`, await picture(0, 0, 0, 64).png().toBuffer());
  await expect(gather(train, ...all)).rejects.toThrow(
    /\.png: it has changed since the data was opened: \d+ bytes instead of \d+\. Restore the earlier file/,
  );
});
