/** `kasane predict` given what the model does not take: one plain line that says what it takes. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Preparation } from '@kasane/data/dataset';
import { openCsvFile } from '@kasane/data/internal/tables/csv-file';
import { readText } from '@kasane/data/internal/text/text-read';
import { KasaneError } from '@kasane/protocol/errors';
import { encodeModelFile } from '@kasane/tensor/io/model-file';
import { buildModel, type ModelDescription } from '@kasane/tensor/nn/model';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { predict } from '../src/commands/predict/predict.ts';

let folder: string;

function model(name: string, description: ModelDescription, preparation: Preparation) {
  const built = buildModel(description);
  const parameters = new Float32Array(built.parameterCount).fill(0.1);
  const file = encodeModelFile({ model: built, parameters, about: { preparation } });
  writeFileSync(join(folder, `${name}.safetensors`), file);
}

const dense = (input: readonly number[], classes = 2): ModelDescription => ({
  ...{ input, classes },
  layers: [...(input.length > 1 ? [{ type: 'flatten' as const }] : []), { type: 'dense', units: classes }],
});
const classes = ['no', 'yes'];
const characters = { kind: 'character', characters: ['a', 'b', 'c'] } as const;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-test-'));
  const column = { name: 'size', kind: 'number', mean: 0, std: 1, fill: 0 } as const;
  model('table', dense([1]), {
    classes,
    table: { columns: [column], missing: 'fail', targets: [], classes },
  });
  model(
    'series',
    { input: [2, 1], output: [1], layers: [{ type: 'flatten' }, { type: 'dense', units: 1 }] },
    {
      series: { window: 2, horizon: 1, targets: ['size'], columns: [column] },
    },
  );
  model('numbers', dense([3]), { classes });
  const form = { height: 4, width: 4, channels: 3, fit: 'cover' } as const;
  model('images', dense([4, 4, 3]), { classes, mean: 0, std: 1, image: form });
  model('idx', dense([4, 4]), { mean: 0, std: 1 });
  const text = { tokenizer: characters, context: 4 } as const;
  model('texts', { ...dense([4]) }, { classes, text: { ...text, objective: 'classification' } });
  model(
    'gpt',
    { input: [4], output: [4, 6], layers: [{ type: 'embedding', tokens: 6, units: 6 }] },
    {
      text: { ...text, objective: 'next-token' },
    },
  );
  const picture = sharp({ create: { width: 8, height: 8, channels: 3, background: '#345678' } });
  const png = await picture.png().toBuffer();
  writeFileSync(join(folder, 'picture.png'), png);
  writeFileSync(join(folder, 'half.png'), png.subarray(0, png.length - 30));
  const jpeg = await picture.jpeg().toBuffer();
  writeFileSync(join(folder, 'photo.jpg'), jpeg);
  writeFileSync(join(folder, 'half.jpg'), jpeg.subarray(0, jpeg.length - 8));
  writeFileSync(join(folder, 'picture.webp'), await picture.webp().toBuffer());
  const frames = sharp(Buffer.alloc(8 * 16 * 3, 90).fill(200, 8 * 8 * 3), {
    raw: { width: 8, height: 16, channels: 3, pageHeight: 8 },
  });
  writeFileSync(join(folder, 'animated.gif'), await frames.gif().toBuffer());
  const scan = sharp(
    Uint16Array.from({ length: 64 }, (_, i) => i * 64),
    {
      raw: { width: 8, height: 8, channels: 1 },
    },
  );
  writeFileSync(join(folder, 'scan.png'), await scan.toColourspace('grey16').png().toBuffer());
  writeFileSync(join(folder, 'rows.csv.gz'), gzipSync('size\n1\n'));
  writeFileSync(join(folder, 'rows.csv'), 'size,other\n1,2\n3,4\n');
  writeFileSync(join(folder, 'rows.xlsx'), Buffer.from('504b0304140006000800000021', 'hex'));
  writeFileSync(join(folder, 'header.csv'), 'size\n');
  writeFileSync(join(folder, 'empty.csv'), '');
  writeFileSync(join(folder, 'empty.png'), '');
  writeFileSync(join(folder, 'empty.txt'), '');
  writeFileSync(join(folder, 'letters.txt'), 'abc');
  mkdirSync(join(folder, 'folder'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Said {
  readonly out: string;
  readonly err: string;
  readonly refused: string;
}

/** What the command prints, or why it refuses; paths without the folder's own. */
async function said(name: string, ...given: string[]): Promise<Said> {
  const out = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  const err = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  let refused = '';
  try {
    const all = { coordinator: '127.0.0.1:1', maxTokens: 3, temperature: 0, topK: 0, seed: 0 };
    await predict(join(folder, `${name}.safetensors`), given, all);
  } catch (error) {
    expect(error).toBeInstanceOf(KasaneError);
    expect((error as KasaneError).code).toBe('DATA_INVALID');
    refused = (error as Error).message.replaceAll(folder, '');
  }
  const text = (spy: typeof out | typeof err) =>
    spy.mock.calls
      .map(([piece]) => String(piece))
      .join('')
      .replaceAll(folder, '');
  const found = { out: text(out), err: text(err), refused };
  out.mockRestore();
  err.mockRestore();
  return found;
}

const takes = {
  table: 'the model takes a CSV file, or a row: size',
  series: 'the model takes a CSV file',
  numbers: 'the model takes 3 comma-separated numbers',
  images: 'the model takes image files, such as PNG or JPEG, or folders of them',
  idx: 'the model takes image files, such as PNG or JPEG, or folders of them',
  texts: 'the model takes a text, a text file, or a CSV file of texts',
} as const;
const models = Object.keys(takes) as (keyof typeof takes)[];
const ofText = ['table', 'series', 'texts'] as const;

describe.each(models)('a model of kind %s', (kind) => {
  it('takes no empty argument, and a folder only of images', async () => {
    const isOfImages = kind === 'images' || kind === 'idx';
    const why = isOfImages ? 'the folder contains no files' : `it is a folder; ${takes[kind]}`;
    expect(await said(kind, join(folder, 'folder'))).toEqual({
      out: '',
      err: '',
      refused: `/folder: ${why}`,
    });
    for (const nothing of ['', ' \n'])
      expect((await said(kind, nothing)).refused).toBe(`an argument is empty; ${takes[kind]}`);
  });

  it('answers what stands beside an empty argument', async () => {
    const good = { table: '1', series: join(folder, 'rows.csv'), numbers: '1,2,3', texts: 'abc' };
    const fine = kind in good ? good[kind as keyof typeof good] : join(folder, 'picture.png');
    const { out, err, refused } = await said(kind, '', fine);
    expect(process.exitCode).toBeGreaterThan(0);
    process.exitCode = 0;
    expect(refused).toBe('');
    expect(err).toMatch('an argument is empty');
    expect(out).not.toBe('');
  });

  it.each(['empty.csv', 'empty.png', 'empty.txt'])('takes no %s', async (name) => {
    const { out, refused } = await said(kind, join(folder, name));
    expect(out).toBe('');
    expect(refused).toMatch(
      kind === 'numbers'
        ? 'it is a file, but the model takes numbers'
        : `/${name}: it is empty; ${takes[kind]}`,
    );
  });
});

it.each(
  ofText.flatMap((kind) => [
    [kind, 'picture.png', 'a PNG image'] as const,
    [kind, 'half.jpg', 'a JPEG image'] as const,
    [kind, 'picture.webp', 'a WebP image'] as const,
    [kind, 'rows.xlsx', 'a ZIP file, like .zip, .xlsx and .docx'] as const,
    [kind, 'rows.csv.gz', 'a gzip file'] as const,
  ]),
)('a model of kind %s says that %s is %s', async (kind, name, what) => {
  expect((await said(kind, join(folder, name))).refused).toBe(`/${name}: it is ${what}; ${takes[kind]}`);
});

it('a language model says so too, as training does', async () => {
  expect((await said('gpt', join(folder, 'picture.png'))).refused).toBe(
    '/picture.png: it is a PNG image, not text',
  );
  await expect(openCsvFile(join(folder, 'picture.png'), { onDamaged: 'fail' })).rejects.toThrow(
    /picture\.png: it is a PNG image, not text/,
  );
  expect(() => readText(join(folder, 'rows.csv.gz'))).toThrow(/it is a gzip file, not text/);
});

it.each(['images', 'idx'])('a model of kind %s names what is no image, or only half of one', async (kind) => {
  for (const name of ['rows.csv', 'letters.txt', 'rows.xlsx'])
    expect((await said(kind, join(folder, name))).refused).toBe(
      `/${name}: it is not an image in a supported format`,
    );
  for (const name of ['half.png', 'half.jpg'])
    expect((await said(kind, join(folder, name))).refused).toMatch(/: it is (?:damaged or )?truncated$/);
  for (const row of ['1,2', 'https://example.com/a.png', join(folder, 'nowhere.png')])
    expect((await said(kind, row)).refused).toMatch(`: file not found; ${takes.images}`);
  for (const name of ['picture.png', 'photo.jpg', 'picture.webp', 'animated.gif'])
    expect((await said(kind, join(folder, name))).out).toMatch(new RegExp(`^/${name}: .* \\(50\\.00 %;`));
});

it.each(['images', 'idx'])('a model of kind %s says what it does not use of an image', async (kind) => {
  for (const [name, what] of [
    ['scan.png', 'the image has more than 8 bits per channel'],
    ['animated.gif', 'only the first frame of the animated image is used'],
  ] as const)
    expect((await said(kind, join(folder, name))).err).toMatch(`Note: /${name}: ${what}`);
  expect((await said(kind, join(folder, 'picture.png'))).err).toBe('');
});

it('a row that is none says that file not found', async () => {
  expect((await said('table', join(folder, 'nowhere.csv'))).refused).toBe(
    "/nowhere.csv: file not found, and as a row: size is '/nowhere.csv', which is not a number",
  );
  expect((await said('series', '1,2')).refused).toBe(`1,2: file not found; ${takes.series}`);
});

it('a text that looks like a path is read as a text, and that is said', async () => {
  const { out, err } = await said('texts', join(folder, 'nowhere.txt'));
  expect(out).toMatch(/^\/nowhere\.txt: no /);
  expect(err).toMatch(/^\/nowhere\.txt: file not found, so this is read as text\n/);
  for (const text of ['abc', 'a b. c', 'It ends.'])
    expect((await said('texts', text)).err).not.toContain('file not found');
});

it('an answer is one line, whatever its input is called', async () => {
  const { out } = await said('texts', 'a\u001b[31m\nyes: 100 %');
  expect(out).toMatch(/^a\\u001b\[31m yes: 100 %: no \(.*\)\n$/);
});
