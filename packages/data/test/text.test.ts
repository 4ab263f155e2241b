import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { keyOfSeed } from '@kasane/tensor/random';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Dataset } from '../src/dataset.ts';
import { wordsOf } from '../src/text/bpe.ts';
import { maskTokens } from '../src/text/masking.ts';
import { openText, type TextOptions } from '../src/text/text.ts';
import { MASK, openTokenizer, PAD, SPECIAL_TOKENS, trainTokenizer, UNKNOWN } from '../src/text/tokenizer.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-text-'));
});
afterEach(() => rmSync(folder, { recursive: true }));
const write = (name: string, text: string | Uint8Array) => {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const open = (path: string, options: Partial<TextOptions> = {}) =>
  openText({
    format: 'text',
    layout: 'auto',
    path,
    validation: 0.25,
    seed: 1,
    objective: 'next-token',
    tokenizer: 'character',
    vocabulary: 300,
    context: 4,
    text: 'text',
    label: 'label',
    delimiter: ',',
    pad: 'front',
    onDamaged: 'fail',
    ...options,
  });
const sample = (part: Dataset, index: number) => {
  const [inputs, targets] = [part.input, part.target].map(
    ({ shape }) => new Uint8Array(4 * shape.reduce((a, b) => a * b, 1)),
  ) as [Uint8Array, Uint8Array];
  part.gather(Uint32Array.of(index), inputs, targets);
  return { x: [...new Int32Array(inputs.buffer)], y: [...new Int32Array(targets.buffer)] };
};

describe('a byte order mark', () => {
  const little = Buffer.from(`\ufeff${'the quick brown fox '.repeat(20)}`, 'utf16le');
  const big = Buffer.from(little).swap16();
  it.each([
    ['utf-16le', little, 'utf-16be'],
    ['utf-16be', big, 'utf-16le'],
  ] as const)('of %s names it, and no other order is taken', async (right, bytes, wrong) => {
    const path = write('a.txt', bytes);
    await expect(open(path)).rejects.toThrow(`set data.encoding: ${right}`);
    await expect(open(path, { encoding: wrong })).rejects.toThrow(
      `its byte order mark says ${right}. Set data.encoding: ${right}`,
    );
    expect((await open(path, { encoding: right })).train.samples).toBeGreaterThan(0);
  });
});

describe('tokenizers', () => {
  it('bpe learns from a long run of one character', () => {
    const run = 'a'.repeat(300_000);
    const tokenizer = trainTokenizer('bpe', run, 300);
    expect(tokenizer.decode(tokenizer.encode(run))).toBe(run);
  });

  const text = 'the cat sat on the mat. The cat, the hat; cats and hats — 東京 and 京都!\n\n  the end';

  it.each(['character', 'byte', 'bpe'] as const)(
    '%s: there and back, the same from its specification',
    (kind) => {
      const tokenizer = trainTokenizer(kind, text, 290);
      const tokens = tokenizer.encode(text);
      expect(tokenizer.decode(tokens)).toBe(text);
      expect(Math.min(...tokens)).toBeGreaterThanOrEqual(SPECIAL_TOKENS);
      expect(Math.max(...tokens)).toBeLessThan(tokenizer.size);
      const again = openTokenizer(JSON.parse(JSON.stringify(tokenizer.spec)));
      expect(again.encode(text)).toEqual(tokens);
      expect(trainTokenizer(kind, text, 290).spec).toEqual(tokenizer.spec);
    },
  );

  it('bpe learns the most frequent pair first, ties by the lower pair, and gives fewer tokens than bytes', () => {
    // "ab" three times; then " x", "xy", " ab" and "abc" twice each, of which " x" begins lowest, then " ab".
    const { spec } = trainTokenizer('bpe', 'abc abc abd xy xy', 256 + SPECIAL_TOKENS + 3);
    expect(spec).toEqual({
      kind: 'bpe',
      merges: [
        [97, 98],
        [32, 120],
        [32, 256],
      ],
    });
    const tokenizer = trainTokenizer('bpe', text, 290);
    expect(tokenizer.encode(text).length).toBeLessThan(0.8 * Buffer.from(text).length);
  });

  it('bpe and byte give back any text', () => {
    const tokenizer = trainTokenizer('bpe', text, 290);
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (any) => {
        expect(wordsOf(any).join('')).toBe(any);
        expect(tokenizer.decode(tokenizer.encode(any))).toBe(any);
      }),
    );
  });

  it('characters that were not seen are unknown', () => {
    const tokenizer = trainTokenizer('character', 'ab', 0);
    expect([...tokenizer.encode('abz')]).toEqual([3, 4, UNKNOWN]);
  });
});

// Each of these starts threads.
describe('text', { timeout: 60_000 }, () => {
  it('is read while the thread that asked goes on', async () => {
    const words = Array.from({ length: 10_000 }, (_, i) => `w${(i * 7919) % 10_007}`).join(' ');
    let turns = 0;
    const other = setInterval(() => turns++, 1);
    const { preparation } = await open(write('long.txt', words), { tokenizer: 'bpe', vocabulary: 400 });
    clearInterval(other);
    expect(preparation.text?.tokenizer.kind).toBe('bpe');
    expect(turns).toBeGreaterThan(0);
  });

  it('gives windows and the next token of each place; the end is for testing', async () => {
    const { train, test, preparation } = await open(write('a.txt', 'abcdefghijklmnopqrst'));
    expect([train.samples, test.samples, train.classes]).toEqual([3, 1, 15 + SPECIAL_TOKENS]);
    expect(train.input).toEqual({ dtype: 'i32', shape: [4] });
    expect(sample(train, 1)).toEqual({ x: [7, 8, 9, 10], y: [8, 9, 10, 11] });
    expect(sample(test, 0).x).toEqual([UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN]);
    expect(preparation.text).toMatchObject({ context: 4, tokenizer: { kind: 'character' } });
    expect((await open(join(folder, 'a.txt'), { stride: 1 })).train.samples).toBe(11);
  });

  it('reads the files of a folder in order of their names', async () => {
    write('f/b.txt', 'world');
    write('f/a.md', 'hello');
    write('f/c.bin', 'nothing');
    const { train } = await open(join(folder, 'f'), {
      test: write('t.txt', 'held out text'),
      tokenizer: 'byte',
    });
    expect(sample(train, 1).x).toEqual([...Buffer.from('o\nwo')].map((byte) => byte + SPECIAL_TOKENS));
  });

  it('masks a part of the tokens, the same for the same seed, epoch and sample, whoever asks', async () => {
    const { train } = await open(write('a.txt', 'the quick brown fox jumps over the lazy dog '.repeat(20)), {
      objective: 'masked-token',
      context: 64,
    });
    const drawn = (ids: number[], seed: number, epoch: number) => {
      const samples = ids.map((id) => sample(train, id));
      const x = Float32Array.from(samples.flatMap(({ x: tokens }) => tokens));
      const y = Int32Array.from(samples.flatMap(({ y: tokens }) => tokens));
      const masking = { rate: 0.3, vocabulary: train.classes! };
      maskTokens(x, y, Uint32Array.from(ids), masking, keyOfSeed(seed), epoch);
      return { x, y };
    };
    const both = drawn([1, 5], 7, 2);
    expect(drawn([5], 7, 2).x).toEqual(both.x.slice(64));
    expect(drawn([5], 7, 3).x).not.toEqual(both.x.slice(64));
    expect(drawn([5], 8, 2).x).not.toEqual(both.x.slice(64));
    const original = [...sample(train, 1).x, ...sample(train, 5).x];
    const guessed = [...both.y].filter((token) => token >= 0).length;
    expect(guessed).toBeGreaterThan(20);
    expect(guessed).toBeLessThan(60);
    expect(both.x.filter((token) => token === MASK).length).toBeGreaterThan(guessed / 2);
    for (const [at, token] of both.y.entries()) {
      if (token < 0) expect(both.x[at]).toBe(original[at]);
      else expect(token).toBe(original[at]);
    }
  });

  it('classifies texts of class folders and of a CSV file, filled up and cut', async () => {
    write('c/good/1.txt', 'abc');
    write('c/bad/1.txt', 'cbacba');
    const folders = await open(join(folder, 'c'), { objective: 'classification', test: join(folder, 'c') });
    expect(folders.preparation.classes).toEqual(['bad', 'good']);
    expect(folders.train.target).toEqual({ dtype: 'i32', shape: [] });
    expect(sample(folders.train, 0)).toEqual({ x: [6, 5, 4, 6], y: [0] });
    expect(folders.notes).toContainEqual(
      expect.stringMatching(
        /c: 2 of 4 texts are longer than 4 tokens, and only the first 4 are used; 95 % of the texts have at most 6\. .*increase data\.context/,
      ),
    );
    expect(sample(folders.train, 1)).toEqual({ x: [PAD, 4, 5, 6], y: [1] });
    const path = write('c.csv', 'review,stars\n"abc, abc",5\nb,1\n');
    const columns = { text: 'review', label: 'stars', pad: 'end', objective: 'classification' } as const;
    const rows = await open(path, { ...columns, test: path });
    expect(rows.preparation.classes).toEqual(['1', '5']);
    expect(sample(rows.train, 1)).toMatchObject({ x: [expect.any(Number), PAD, PAD, PAD], y: [0] });
    await expect(open(path, { objective: 'classification' })).rejects.toThrow(
      /no column 'text'; its columns are: review, stars/,
    );
  });

  it('texts that are in training and test are told', async () => {
    const texts = Array.from({ length: 200 }, (_, i) => `"text ${'abcdefgh'[i % 8]}",${i % 2}`).join('\n');
    const path = write('same.csv', `text,label\n${texts}\n`);
    const { notes } = await open(path, { objective: 'classification', context: 8, validation: 0.25 });
    expect(notes?.join()).toMatch(
      /50 of 50 test texts also occur in the training texts, with the same labels/,
    );
  });

  it('texts with several labels are told, in a table and in folders', async () => {
    const texts = Array.from({ length: 12 }, (_, i) => `text ${i},${i % 2 ? 'ham' : 'spam'}\n`).join('');
    const table = write('mail.csv', `text,label\n${texts}text 3,spam\ntext 5,spam\ntext 5,ham\n`);
    const notesOf = async (path: string, more: Partial<TextOptions> = {}) =>
      (await open(path, { objective: 'classification', context: 8, ...more })).notes?.join('\n');
    expect(await notesOf(table)).toMatch(
      /the same text has different labels: .*mail\.csv:\d+ \('\w+'\) and .*mail\.csv:\d+ \('\w+'\), and 1 more text like it\. Keep/,
    );
    const plain = write('plain.csv', `text,label\n${texts}`);
    expect(await notesOf(plain)).not.toMatch(/different labels/);
    const other = write('other.csv', 'text,label\ntext 3,spam\n');
    expect(await notesOf(plain, { test: other })).toMatch(
      /plain\.csv:5 \('ham'\) and .*other\.csv:2 \('spam'\)\./,
    );
    for (const [place, text] of [
      ['a/1', 'so'],
      ['a/2', 'la'],
      ['b/1', 'ti'],
      ['b/2', 'la'],
    ] as const)
      write(`twice/${place}.txt`, text);
    expect(await notesOf(join(folder, 'twice'))).toMatch(
      /a.2\.txt \('a'\) and .*b.2\.txt \('b'\)|b.2\.txt \('b'\) and/,
    );
  });

  it('names the cause where all that it would read is skipped', async () => {
    const latin = write('latin.txt', Buffer.from('caf\xe9 au lait, and more of it', 'latin1'));
    await expect(open(latin, { onDamaged: 'skip' })).rejects.toThrow(
      /it contains no usable text: .*latin.txt:1: it is not UTF-8. .* data.encoding: windows-1252/,
    );
    write('classes/a/1.txt', Buffer.from('caf\xe9', 'latin1'));
    write('classes/b/1.txt', '');
    await expect(
      open(join(folder, 'classes'), { onDamaged: 'skip', objective: 'classification' }),
    ).rejects.toThrow(/it contains no usable texts: .*1.txt:1: it is not UTF-8/);
  });

  it('says what is wrong', async () => {
    await expect(open(join(folder, 'none'))).rejects.toThrow(/file or folder not found/);
    await expect(open(write('empty.txt', ''))).rejects.toThrow(/it is empty/);
    await expect(open(write('short.txt', 'abcdef'))).rejects.toThrow(/Reduce the context, or add text/);
    await expect(open(write('latin.txt', Buffer.from([0x61, 0xe9, 0x62])))).rejects.toThrow(
      /latin\.txt:1: it is not UTF-8/,
    );
    mkdirSync(join(folder, 'd/x'), { recursive: true });
    await expect(open(join(folder, 'd'))).rejects.toThrow(/no \.txt or \.md files/);
    await expect(open(join(folder, 'd'), { objective: 'classification' })).rejects.toThrow(
      /x: this class has no/,
    );
    const path = write('l.csv', 'text,label\nabc,\n');
    await expect(open(path, { objective: 'classification' })).rejects.toThrow(
      /l\.csv:2: the label is missing/,
    );
    await expect(
      open(write('m.csv', 'text,label\nabc,a\n"",b\n'), { objective: 'classification' }),
    ).rejects.toThrow(/m\.csv:3: the text is missing/);
    const some = write('s.csv', `text,label\n${'so,a\nla,b\n'.repeat(9)}ti,\nx,y,z\n`);
    const { notes } = await openText({
      ...{
        format: 'text',
        path: some,
        validation: 0.4,
        seed: 1,
        objective: 'classification',
        layout: 'auto',
      },
      ...{ tokenizer: 'byte', vocabulary: 300, context: 4, text: 'text', label: 'label', pad: 'end' },
      onDamaged: 'skip',
    });
    expect(notes!.join()).toMatch(
      /skipped 2 of 20 rows: .*s\.csv:21: 3 fields.*s\.csv:20: the label is missing/,
    );
  });
});

it.each([
  [
    'only white space',
    ' \n\n \n'.repeat(50),
    /: it contains only white space, so there is nothing to learn$/,
  ],
  ['one character', 'a'.repeat(500), /: it contains only the character 'a', so there is nothing to learn$/],
])('a text to write on of %s is refused', async (_, text, says) => {
  await expect(open(write('same.txt', text))).rejects.toThrow(says);
});

it('a labelled text of white space counts as empty', async () => {
  for (const label of ['a', 'b'])
    for (let i = 0; i < 8; i++)
      write(`t/${label}/${i}.txt`, i === 3 && label === 'a' ? ' \n\n' : `${label} ${i}`);
  const options = { objective: 'classification' } as const;
  await expect(open(join(folder, 't'), options)).rejects.toThrow(/3\.txt: it is empty but for white space/);
  const { train, test } = await open(join(folder, 't'), { ...options, onDamaged: 'skip' });
  expect(train.samples + test.samples).toBe(15);
});
