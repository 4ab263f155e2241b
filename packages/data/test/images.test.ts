/**
 * Image files: what every viewer shows is read, and what the check before training says is what the decoder says. Files are made here with
 * sharp, and then changed as cameras, phones and bad disks change them.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DataError } from '../src/dataset.ts';
import { checkImage } from '../src/images/image-check.ts';
import { decodeImage, type ImageForm } from '../src/images/image-decode.ts';
import { openImageFolder } from '../src/images/image-folder.ts';

const folder = mkdtempSync(join(tmpdir(), 'kasane-pictures-'));
afterAll(() => rmSync(folder, { recursive: true }));
const form: ImageForm = { height: 8, width: 8, channels: 3, fit: 'fill' };

/** A picture without structure: what is cut off or changed in it shows. */
const noise = (side: number, channels: 1 | 2 | 3 | 4 = 3) =>
  sharp(Buffer.from(Array.from({ length: side * side * channels }, (_, i) => (i * 7919) % 251)), {
    raw: { width: side, height: side, channels },
  });
const plain = (colour: string, side = 16) =>
  sharp({ create: { width: side, height: side, channels: 3, background: colour } });

let jpeg: Buffer;
let png: Buffer;
let webp: Buffer;
beforeAll(async () => {
  jpeg = await noise(48).jpeg().toBuffer();
  png = await noise(48).png({ compressionLevel: 0 }).toBuffer();
  webp = await noise(48).webp().toBuffer();
});

const file = (bytes: Uint8Array, name = 'picture.jpg') => {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
};
/** What check and decoder say; they must say the same. */
async function verdicts(bytes: Uint8Array) {
  const path = file(bytes);
  const check = await checkImage(path, form, false);
  const decoded = await decodeImage(path, form).then(
    ({ pixels }) => ({ pixels, why: undefined }),
    (error: Error) => {
      expect(error).toBeInstanceOf(DataError);
      expect(error.message).toMatch(new RegExp(`^${path}: [^\\n]+$`));
      return { pixels: undefined, why: error.message };
    },
  );
  return { check, decoded };
}
const segment = (marker: number, content: Buffer) => {
  const head = Buffer.from([0xff, marker, 0, 0]);
  head.writeUInt16BE(content.length + 2, 2);
  return Buffer.concat([head, content]);
};
const afterStart = (...parts: Buffer[]) => Buffer.concat([jpeg.subarray(0, 2), ...parts, jpeg.subarray(2)]);

describe('photographs that every viewer shows are read', () => {
  const odd: [string, () => Buffer | Promise<Buffer>][] = [
    ['bytes between the first markers', () => afterStart(Buffer.from([0, 0, 5]))],
    ['fill bytes in front of a marker', () => afterStart(Buffer.from([0xff, 0xff]))],
    ['an unknown Adobe transform', () => afterStart(segment(0xee, Buffer.from('Adobe\0d\0\0\0\0\t')))],
    ['half a megabyte of EXIF', () => afterStart(...Array(9).fill(segment(0xe1, Buffer.alloc(60_000, 1))))],
    [
      'a table of several pictures (MPF)',
      () => afterStart(segment(0xe2, Buffer.from('MPF\0MM\0*\0\0\0\b\0\0'))),
    ],
    ['a second picture behind the end', () => Buffer.concat([jpeg, jpeg.subarray(0, 900)])],
    ['a film behind the end', () => Buffer.concat([jpeg, Buffer.alloc(100_000, 7)])],
    [
      'bytes in front of the end',
      () => Buffer.concat([jpeg.subarray(0, -2), Buffer.alloc(9, 3), jpeg.subarray(-2)]),
    ],
    [
      'parameters of a progressive scan in a sequential one',
      () => {
        const bytes = Buffer.from(jpeg);
        const scan = bytes.indexOf(Buffer.from([0xff, 0xda]));
        bytes[scan + 5 + 2 * bytes[scan + 4]! + 1] = 0;
        return bytes;
      },
    ],
    ['CMYK', () => noise(16).toColourspace('cmyk').jpeg().toBuffer()],
    ['progressive', () => noise(32).jpeg({ progressive: true }).toBuffer()],
    ['16 bits', () => noise(16).toColourspace('rgb16').png().toBuffer()],
    ['grey with 16 bits', () => noise(16, 1).toColourspace('grey16').png().toBuffer()],
    ['grey and alpha', () => noise(16, 2).png().toBuffer()],
    ['a palette', () => noise(16).png({ palette: true }).toBuffer()],
    [
      'an animation',
      async () => {
        const frames = [await noise(16).png().toBuffer(), await plain('#fff').png().toBuffer()];
        return sharp(frames, { join: { animated: true } })
          .webp()
          .toBuffer();
      },
    ],
    ['a GIF called .jpg', () => noise(16).gif().toBuffer()],
    ['a PNG without its end', () => png.subarray(0, -12)],
    ['a PNG with bytes behind its end', () => Buffer.concat([png, Buffer.alloc(500, 1)])],
    ['a WebP with bytes behind its end', () => Buffer.concat([webp, Buffer.alloc(500, 1)])],
    [
      'a note with a wrong checksum',
      () => {
        const note = Buffer.from('\0\0\0\u0004tEXta\0bc\u0001\u0002\u0003\u0004', 'latin1');
        return Buffer.concat([png.subarray(0, 33), note, png.subarray(33)]);
      },
    ],
  ];
  it.each(odd)('%s', async (_, make) => {
    const { check, decoded } = await verdicts(await make());
    expect(check.problem).toBeUndefined();
    expect(decoded.pixels).toHaveLength(192);
  });

  it('16 bits and CMYK give the colours that 8 bits and RGB give', async () => {
    const wide = file(await plain('#c86432').toColourspace('rgb16').png().toBuffer());
    const { pixels } = await decodeImage(wide, form);
    expect([...pixels.subarray(0, 3)]).toEqual([200, 100, 50]);
    const print = file(await plain('#c86432').toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer());
    const [r, g, b] = (await decodeImage(print, form)).pixels;
    expect([r! > g!, g! > b!]).toEqual([true, true]);
  });
});

describe('what no viewer shows whole is refused, by both', () => {
  it.each<[string, () => Buffer | Promise<Buffer>, RegExp]>([
    ['an empty file', () => Buffer.alloc(0), /it is empty/],
    ['half a JPEG', () => jpeg.subarray(0, jpeg.length >> 1), /it is truncated/],
    ['a JPEG without its last bytes', () => jpeg.subarray(0, -40), /it is truncated/],
    [
      'half a JPEG and zeros',
      () => Buffer.concat([jpeg.subarray(0, jpeg.length >> 1), Buffer.alloc(5000)]),
      /it is truncated/,
    ],
    ['half a PNG', () => png.subarray(0, png.length >> 1), /it is damaged or truncated/],
    ['half a WebP', () => webp.subarray(0, webp.length >> 1), /it is damaged or truncated/],
    [
      'half an AVIF',
      async () => {
        const whole = await sharp(png).avif().toBuffer();
        return whole.subarray(0, whole.length >> 1);
      },
      /it is damaged or truncated/,
    ],
    [
      'a page that says not found',
      () => Buffer.from('<html>not found</html>'),
      /not an image in a supported format/,
    ],
    [
      'a drawing of lines',
      () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
      /its content is svg; save it as PNG/,
    ],
  ])('%s', async (_, make, message) => {
    const { check, decoded } = await verdicts(await make());
    expect(check.problem).toMatch(message);
    expect(decoded.why).toMatch(message);
  });
});

describe('by property: a changed file is never refused by the check and read by the decoder', () => {
  const change = fc.oneof(
    fc.record({
      kind: fc.constant('set' as const),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      value: fc.nat(255),
    }),
    fc.record({
      kind: fc.constant('cut' as const),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      value: fc.nat(255),
    }),
    fc.record({
      kind: fc.constant('insert' as const),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      value: fc.nat(255),
    }),
    // Headers are short: each of their bytes is tried as often as all the rest.
    fc.record({
      kind: fc.constant('set' as const),
      at: fc.double({ min: 0, max: 0.05, noNaN: true }),
      value: fc.nat(255),
    }),
  );
  it.each(['jpeg', 'png', 'webp'])('%s', { timeout: 120_000 }, async (format) => {
    const whole = { jpeg, png, webp }[format]!;
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        let bytes = Buffer.from(whole);
        for (const { kind, at, value } of changes) {
          const place = Math.floor(at * Math.max(0, bytes.length - 1));
          if (kind === 'cut') bytes = bytes.subarray(0, place);
          else if (kind === 'insert')
            bytes = Buffer.concat([bytes.subarray(0, place), Buffer.of(value), bytes.subarray(place)]);
          else if (bytes.length > 0) bytes[place] = value;
        }
        const { check, decoded } = await verdicts(bytes);
        if (check.problem !== undefined) expect(decoded.why).toBeDefined();
        const skipping = await checkImage(join(folder, 'picture.jpg'), form, true);
        expect(skipping.problem !== undefined).toBe(decoded.why !== undefined);
      }),
      { numRuns: 150 },
    );
  });
});

describe('transparency', () => {
  /** A stroke on a transparent ground; what lies under it has another colour, which nobody sees. */
  const drawing = (ink: number, hidden = 128) => {
    const pixels = Buffer.alloc(16 * 16 * 4);
    for (let i = 0; i < 256; i++) {
      const drawn = i % 16 >= 6 && i % 16 < 10;
      pixels.fill(drawn ? ink : hidden, 4 * i, 4 * i + 3);
      pixels[4 * i + 3] = drawn ? 255 : 0;
    }
    return sharp(pixels, { raw: { width: 16, height: 16, channels: 4 } })
      .png()
      .toBuffer();
  };
  const grey: ImageForm = { height: 16, width: 16, channels: 1, fit: 'fill' };
  const line = ({ pixels }: { pixels: Uint8Array }) => [pixels[0], pixels[7]];

  it('a drawing is put on the ground that shows it, whatever lies hidden below', async () => {
    for (const hidden of [0, 128, 255]) {
      const dark = await decodeImage(file(await drawing(0, hidden)), grey);
      expect([dark.background, ...line(dark)]).toEqual(['white', 255, 0]);
      const bright = await decodeImage(file(await drawing(255, hidden)), grey);
      expect([bright.background, ...line(bright)]).toEqual(['black', 0, 255]);
    }
    expect((await decodeImage(file(png), form)).background).toBeUndefined();
    const opaque = await noise(16).ensureAlpha().png().toBuffer();
    expect((await decodeImage(file(opaque), form)).background).toBeUndefined();
  });

  const open = (name: string, background: 'auto' | 'black' | 'white' = 'auto') =>
    openImageFolder({
      ...{
        format: 'imagefolder',
        path: join(folder, name),
        layout: 'auto',
        onDamaged: 'fail',
        validation: 0.5,
        seed: 1,
      },
      ...{ size: 16, channels: 1, fit: 'fill', background, mean: 0, std: 1 },
    });
  const first = async (parts: Awaited<ReturnType<typeof open>>) => {
    const inputs = new Uint8Array(256);
    await parts.train.gather(Uint32Array.of(0), inputs, new Uint8Array(4));
    return [inputs[0], inputs[7]];
  };

  it('a data set has one ground, which is said and kept for predictions', async () => {
    for (const kind of ['a', 'b']) {
      mkdirSync(join(folder, 'ink', kind), { recursive: true });
      for (const i of [1, 2])
        writeFileSync(
          join(folder, 'ink', kind, `${i}.png`),
          Buffer.concat([await drawing(20), Buffer.from(kind + i)]),
        );
    }
    const parts = await open('ink');
    expect(await first(parts)).toEqual([255, 20]);
    expect(parts.preparation.image).toMatchObject({ background: 'white' });
    expect(parts.notes).toEqual([
      expect.stringMatching(/background of transparent images is white, .* set data\.background/),
    ]);
    const black = await open('ink', 'black');
    expect(await first(black)).toEqual([0, 20]);
    expect(black.preparation.image).toMatchObject({ background: 'black' });
    const later = await decodeImage(file(await drawing(255)), parts.preparation.image!);
    expect([later.background, ...line(later)]).toEqual(['white', 255, 255]);
  });

  it('a data set without any says nothing of it', async () => {
    for (const kind of ['a', 'b']) {
      mkdirSync(join(folder, 'opaque', kind), { recursive: true });
      for (const i of [1, 2])
        writeFileSync(join(folder, 'opaque', kind, `${i}.jpg`), Buffer.concat([jpeg, Buffer.from(kind + i)]));
    }
    const { preparation, notes } = await open('opaque');
    expect(preparation.image).toEqual({ height: 16, width: 16, channels: 1, fit: 'fill' });
    expect(notes).toEqual([]);
  });
});

/** A TIFF (6.0) of 8 x 8 pixels, all zero. @param sampleFormat 1: unsigned. 2: signed. 3: float */
function plainTiff(sampleFormat: number, bits: number, channels: number): Buffer {
  const [side, short, long] = [8, 3, 4];
  const bytes = (side * side * channels * bits) / 8;
  const perChannel = (value: number) => Array.from({ length: channels }, () => value);
  const tags: [tag: number, type: number, values: number[]][] = [
    [256, short, [side]],
    [257, short, [side]],
    [258, short, perChannel(bits)],
    [259, short, [1]],
    [262, short, [1]],
    [273, long, [0]],
    [277, short, [channels]],
    [278, short, [side]],
    [279, long, [bytes]],
    [284, short, [1]],
    ...(channels > 1 ? [[338, short, perChannel(0).slice(1)] as [number, number, number[]]] : []),
    [339, short, perChannel(sampleFormat)],
  ];
  const end = 8 + 2 + 12 * tags.length + 4;
  const file = Buffer.alloc(end + 256 + bytes);
  file.write('II');
  file.writeUInt16LE(42, 2);
  file.writeUInt32LE(8, 4);
  file.writeUInt16LE(tags.length, 8);
  let more = end;
  for (const [index, [tag, type, values]] of tags.entries()) {
    const at = 10 + 12 * index;
    file.writeUInt16LE(tag, at);
    file.writeUInt16LE(type, at + 2);
    file.writeUInt32LE(values.length, at + 4);
    const size = type === short ? 2 : 4;
    const place = size * values.length > 4 ? more : at + 8;
    if (place === more) {
      file.writeUInt32LE(more, at + 8);
      more += size * values.length;
    }
    for (const [i, value] of values.entries())
      file.writeUIntLE(tag === 273 ? end + 256 : value, place + size * i, size);
  }
  return file;
}

describe('kinds of pictures', () => {
  it.each(['heic', 'heix', 'hevc'])('a photograph of a phone under another name: %s', async (brand) => {
    // ISO/IEC 14496-12, 4.3: a box of 24 bytes that names the brand.
    const start = Buffer.concat([Buffer.from([0, 0, 0, 24]), Buffer.from(`ftyp${brand}`), Buffer.alloc(12)]);
    const { check, decoded } = await verdicts(Buffer.concat([start, Buffer.alloc(400)]));
    expect(check.problem).toMatch(/it is a HEIC image, despite its name; save it as JPEG or PNG$/);
    expect(decoded.why).toBe(check.problem);
  });

  it.each([
    ['32-bit floating-point numbers', 3, 32, 1],
    ['32-bit integers', 1, 32, 1],
    ['signed 16-bit integers', 2, 16, 1],
    ['5 channels', 1, 8, 5],
  ])('a TIFF of %s is refused, not cut to 8 bits', async (what, sampleFormat, bits, channels) => {
    const { check, decoded } = await verdicts(plainTiff(sampleFormat, bits, channels));
    expect(check.problem).toContain(what);
    expect(check.problem).toMatch(/save (it|them) /);
    expect(decoded.why).toBe(check.problem);
  });

  it('CIELAB is read as the colours that it is', async () => {
    for (const colour of ['#ff0000', '#008000', '#0a141e']) {
      const { check, decoded } = await verdicts(
        await plain(colour).toColourspace('lab').tiff({ compression: 'lzw' }).toBuffer(),
      );
      expect(check).toMatchObject({ kind: { deep: false } });
      const [r, g, b] = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
      expect([...decoded.pixels!.slice(0, 3)]).toEqual([r, g, b]);
    }
  });

  it('16 bits a channel are told, since only the upper 8 are used', async () => {
    const deep = mkdtempSync(join(folder, 'deep-'));
    const values = (most: number) => Uint16Array.from({ length: 64 }, (_, i) => (i * most) / 63);
    for (const [name, most] of [
      ['full', 65_535],
      ['scan', 4_095],
    ] as const) {
      mkdirSync(join(deep, name));
      for (const i of [1, 2])
        writeFileSync(
          join(deep, name, `${i}.png`),
          await sharp(values(most - i), { raw: { width: 8, height: 8, channels: 1 } })
            .toColourspace('grey16')
            .png()
            .toBuffer(),
        );
    }
    const { notes } = await openImageFolder({
      ...{ format: 'imagefolder', path: deep, layout: 'auto', onDamaged: 'fail', validation: 0.5, seed: 1 },
      ...{ size: 8, channels: 1, fit: 'fill', background: 'auto', mean: 0, std: 1 },
    });
    expect(notes?.join()).toMatch(
      /4 images have more than 8 bits per channel, of which the upper 8 are used/,
    );
  });
});
