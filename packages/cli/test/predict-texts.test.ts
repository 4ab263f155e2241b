/** Training and predictions read files of text alike: each encoding, each objective, each kind of bad file. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type DataParts, readSamples, type TextPreparation } from '@kasane/data/dataset';
import { openTokenizer } from '@kasane/data/internal/text/tokenizer';
import { openText, type TextOptions } from '@kasane/data/text';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readInputs } from '../src/commands/predict/inputs.ts';
import { fillMasks, generate } from '../src/commands/predict/text.ts';
import type { Trained } from '../src/model/trained.ts';

// Each reading of a training starts a thread.
vi.setConfig({ testTimeout: 120_000 });

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-texts-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, content: Uint8Array): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}

const options = (path: string, rest: Partial<TextOptions>): TextOptions => ({
  ...{ format: 'text', path, test: path, layout: 'whole', validation: 0.5, seed: 1 },
  ...{ objective: 'next-token', tokenizer: 'character', vocabulary: 300, context: 4 },
  ...{ text: 'text', label: 'label', pad: 'end', onDamaged: 'fail', ...rest },
});

/** As it comes back from a weights file. */
const kept = ({ preparation }: DataParts) => JSON.parse(JSON.stringify(preparation)) as typeof preparation;

const trained = (preparation: object) => ({ model: { sampleShape: [4] }, preparation }) as unknown as Trained;

/** What is in a file of each encoding, and its bytes. */
const written = {
  'utf-8': { text: 'é日x', bytes: Buffer.from('é日x') },
  'windows-1252': { text: 'é€x', bytes: Buffer.from([0xe9, 0x80, 0x78]) },
  shift_jis: { text: '日本x', bytes: Buffer.from([0x93, 0xfa, 0x96, 0x7b, 0x78]) },
  'utf-16le': { text: 'é日x', bytes: Buffer.from('\ufeffé日x', 'utf16le') },
  // Valid as any other of one byte a character: nothing would be noticed.
  'iso-8859-5': { text: 'Жяx', bytes: Buffer.from([0xb6, 0xef, 0x78]) },
};

describe.each(Object.entries(written))('files in %s', (encoding, { text, bytes }) => {
  it.each(['folders', 'csv'])(
    'classification of %s: predictions see the tokens of training',
    async (kind) => {
      const one = write(`${encoding}/classes/a/1.txt`, bytes);
      write(`${encoding}/classes/b/1.txt`, bytes);
      const table = Buffer.concat(
        ['text,label\n', bytes, ',a\n', bytes, ',b\n'].map((piece) =>
          typeof piece !== 'string'
            ? piece.subarray(encoding === 'utf-16le' ? 2 : 0)
            : Buffer.from(piece, encoding === 'utf-16le' ? 'utf16le' : 'latin1'),
        ),
      );
      const path = kind === 'csv' ? write(`${encoding}/t.csv`, table) : join(folder, encoding, 'classes');
      const data = await openText(options(path, { objective: 'classification', encoding }));
      const { inputs } = await readSamples(data.train, Uint32Array.of(0));
      const [sample] = await readInputs(trained(kept(data)), one, {});
      expect([...sample!.x]).toEqual([...new Int32Array(inputs.buffer)]);
      expect([...sample!.x.slice(0, 3)]).toEqual([
        ...openTokenizer(data.preparation.text!.tokenizer).encode(text),
      ]);
    },
  );

  it.each(['next-token', 'masked-token'] as const)(
    '%s: a prompt in a file is read as training was',
    async (objective) => {
      const long = Buffer.concat(
        Array.from({ length: 4 }, () => bytes.subarray(encoding === 'utf-16le' ? 2 : 0)),
      );
      const path = write(`${encoding}/${objective}.txt`, long);
      const preparation = kept(await openText(options(path, { objective, encoding }))).text!;
      const scores = () => new Float32Array(4 * 16);
      if (objective === 'next-token') {
        const said: string[] = [];
        const how = { maxTokens: 0, temperature: 0, topK: 0, seed: 0 };
        generate(write('prompt', bytes), preparation, how, scores, (piece) => said.push(piece));
        expect(said.join('')).toBe(text);
      } else {
        const masked = Buffer.from('[MASK]', encoding === 'utf-16le' ? 'utf16le' : 'latin1');
        const size = openTokenizer(preparation.tokenizer).size;
        const favour = () => Float32Array.from({ length: 4 * size }, (_, i) => (i % size === 3 ? 1 : 0));
        const filled = fillMasks(write('masked', Buffer.concat([bytes, masked])), preparation, favour);
        expect(filled.text.startsWith(text)).toBe(true);
        expect(filled.tokens).toBe(1);
      }
    },
  );
});

it('what the weights say of UTF-8 is as it was before encodings had names', async () => {
  const { preparation } = await openText(
    options(write('u.txt', Buffer.from('abcdefgh')), { encoding: 'utf-8' }),
  );
  expect(Object.keys(preparation.text!)).toEqual(['tokenizer', 'context', 'objective']);
});

describe('a file that training refuses', () => {
  const tokenizer = { kind: 'byte' } as const;
  const text: TextPreparation = { tokenizer, context: 4, objective: 'classification' };
  it.each([
    ['UTF-16 with a mark', Buffer.from('\ufeffab', 'utf16le'), text, /it is not UTF-8 but UTF-16/],
    ['UTF-16 without a mark', Buffer.from('ab', 'utf16le'), text, /it contains NUL characters/],
    ['Latin-1', Buffer.from([0x61, 0xe9]), text, /:1: it is not UTF-8/],
    [
      'an unknown encoding in the weights',
      Buffer.from('a'),
      { ...text, encoding: 'klingon' },
      /'klingon' is not a known encoding/,
    ],
  ])('is refused by predictions: %s', async (_, bytes, preparation, message) => {
    const path = write('odd.txt', bytes);
    await expect(readInputs(trained({ text: preparation }), path, {})).rejects.toMatchObject({
      code: 'DATA_INVALID',
      message: expect.stringMatching(message),
    });
  });
});

describe('characters that training has not seen', () => {
  const preparation: TextPreparation = {
    ...{ tokenizer: { kind: 'character', characters: ['a', 'b'] }, context: 4, objective: 'classification' },
  };
  const notesOf = async (given: string) =>
    (await readInputs({ ...trained({ text: preparation }), about: {} }, given, {})).flatMap(
      ({ notes = [] }) => notes,
    );

  it('are named', async () => {
    expect(await notesOf('abba')).toEqual([]);
    expect(await notesOf('ab日')).toEqual([
      "1 character did not occur in the training text and cannot be told apart: '日'",
    ]);
    const [note] = await notesOf('aABCDEFG');
    expect(note).toMatch(/^7 characters did not occur .*: 'A', 'B', 'C', 'D', 'E' and 2 more$/);
    const rows = write('rows.csv', Buffer.from('text\nab\naX\n'));
    expect(await notesOf(rows)).toEqual([expect.stringMatching(/^1 character .*'X'$/)]);
  });

  it('a text of which the model sees the beginning is noted, too', async () => {
    expect(await notesOf('abab')).toEqual([]);
    expect(await notesOf('ababa')).toEqual([
      'the text is longer than 4 tokens: the model sees only the first 4 (data.context)',
    ]);
    const rows = write('long.csv', Buffer.from('text\nab\nababab\n'));
    expect(await notesOf(rows)).toEqual([expect.stringMatching(/^1 of 2 texts is longer/)]);
  });

  it('alone are refused', async () => {
    await expect(notesOf('日本語')).rejects.toThrow(
      /none of the characters occur in the training text: '日', '本', '語'. The model cannot read it/,
    );
    const how = { maxTokens: 1, temperature: 0, topK: 0, seed: 0 };
    const scores = () => new Float32Array(4 * 5);
    expect(() => generate('XY', preparation, how, scores, () => {})).toThrow(/none of the characters/);
    expect(generate('aX', preparation, how, scores, () => {}).notes).toEqual([
      expect.stringContaining("'X'"),
    ]);
  });
});
