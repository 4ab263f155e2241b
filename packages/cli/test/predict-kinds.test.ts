/** `kasane predict` for tables, series and text: models whose weights are written by hand, so that answers are known. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Preparation } from '@kasane/data/dataset';
import { encodeModelFile } from '@kasane/tensor/io/model-file';
import { buildModel, type ModelDescription } from '@kasane/tensor/nn/model';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type PredictOptions, predict } from '../src/commands/predict/predict.ts';

let folder: string;

function write(
  name: string,
  description: ModelDescription,
  values: readonly number[],
  preparation: Preparation,
  objective?: object,
) {
  const model = buildModel(description);
  const parameters = Float32Array.from(values);
  expect(parameters.length).toBe(model.parameterCount);
  writeFileSync(
    join(folder, `${name}.safetensors`),
    encodeModelFile({ model, parameters, about: { preparation, objective } }),
  );
}

/** Scores of a vocabulary of special tokens and `letters`: after each letter the next of them, around. */
const around = (letters: string): number[] => {
  const size = letters.length + 3;
  return Array.from({ length: size * size }, (_, i) => {
    const [token, next] = [Math.floor(i / size), i % size];
    if (token === 2) return next === 4 ? 9 : 0; // [MASK]: the second letter
    return token >= 3 && next === 3 + ((token - 3 + 1) % letters.length) ? 9 : 0;
  });
};

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-test-'));
  const table = {
    columns: [
      { name: 'size', kind: 'number', mean: 10, std: 2, fill: 10 },
      { name: 'colour', kind: 'category', categories: ['blue', 'red'] },
    ],
    missing: 'mean',
    targets: [{ name: 'price', kind: 'number', mean: 100, std: 50, fill: 100 }],
  } as const;
  // price' = size' + 2 blue + 3 red
  write('table', { input: [3], output: [1], layers: [{ type: 'dense', units: 1 }] }, [1, 2, 3, 0], { table });
  // The same from two inputs: blue is 1, red 2, and 0 what training has not seen.
  const [size] = table.columns;
  const kinds = {
    ...table,
    columns: [{ name: 'colour', kind: 'index', categories: ['blue', 'red'] } as const, size],
    inputs: ['colour', 'size'].map((name) => ({ name, features: 1 })),
  };
  const inputs: ModelDescription = {
    output: [1],
    layers: [
      { type: 'input', name: 'colour', shape: [1] },
      { type: 'embedding', tokens: 3, units: 1 },
      { type: 'flatten', name: 'effect' },
      { type: 'input', name: 'size', shape: [1] },
      { type: 'add', from: ['effect', 'size'] },
    ],
  };
  write('inputs', inputs, [0, 2, 3], { table: kinds });
  const classes = ['small', 'large'];
  write(
    'classes',
    { input: [3], classes: 2, layers: [{ type: 'dense', units: 2 }] },
    [-1, 1, 0, 0, 0, 0, 0, 0],
    {
      table: { ...table, targets: [], classes },
      classes,
    },
  );
  const yes: ModelDescription = { input: [2], output: [2], layers: [{ type: 'dense', units: 2 }] };
  write('yes', yes, [1, 0, 0, 1, 0, 0], {}, { type: 'binary' });
  // What comes out is the last row that went in.
  write(
    'series',
    { input: [2, 1], output: [1], layers: [{ type: 'flatten' }, { type: 'dense', units: 1 }] },
    [0, 1, 0],
    {
      series: {
        ...{ window: 2, horizon: 1, targets: ['level'] },
        columns: [{ name: 'level', kind: 'number', mean: 5, std: 2, fill: 5 }],
      },
    },
  );
  const text = (objective: 'next-token' | 'masked-token') => ({
    text: { tokenizer: { kind: 'character', characters: ['a', 'b', 'c'] }, context: 4, objective } as const,
  });
  const bigram: ModelDescription = {
    input: [4],
    output: [4, 6],
    layers: [{ type: 'embedding', tokens: 6, units: 6 }],
  };
  write('gpt', bigram, around('abc'), text('next-token'));
  write('bert', bigram, around('abc'), text('masked-token'));
  writeFileSync(join(folder, 'rows.csv'), 'colour,size,other\nred,12,x\nblue,,y\n');
  writeFileSync(join(folder, 'levels.csv'), 'time,level\n1,5\n2,8\n3,9\n');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the command prints: in this process, since each of its own costs seconds. */
async function printed(model: string, inputs: readonly string[], options: Partial<PredictOptions> = {}) {
  const out = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  try {
    const all = { coordinator: '127.0.0.1:1', maxTokens: 7, temperature: 0, topK: 0, seed: 0, ...options };
    await predict(join(folder, model), inputs, all);
    return out.mock.calls.map(([text]) => String(text)).join('');
  } finally {
    out.mockRestore();
  }
}

async function records(model: string, inputs: readonly string[], options: Partial<PredictOptions> = {}) {
  const lines = (await printed(model, inputs, { ...options, json: true })).trim().split('\n');
  return lines.map((line) => JSON.parse(line) as unknown);
}

const at = (name: string) => join(folder, name);

describe('kasane predict', () => {
  it('takes rows of a table, and answers in the units of its target', async () => {
    const targets = ['price'];
    expect(await records('table.safetensors', [at('rows.csv'), '14,red', 'colour = blue , size= 8'])).toEqual(
      [
        { input: `${at('rows.csv')}:2`, output: [300], targets },
        { input: `${at('rows.csv')}:3`, output: [200], targets },
        { input: '14,red', output: [350], targets },
        { input: 'colour = blue , size= 8', output: [150], targets },
      ],
    );
  });

  it('takes rows for a model with several inputs', async () => {
    const rows = ['red,14', 'colour=blue,size=8', 'green,10'];
    expect(await records('inputs.safetensors', rows)).toMatchObject(
      [350, 150, 100].map((price) => ({ output: [price] })),
    );
  });

  it('names classes', async () => {
    expect(await records('classes.safetensors', ['20,red'])).toMatchObject([{ class: 1, label: 'large' }]);
    expect(await printed('classes.safetensors', ['2,red'])).toBe(
      '2,red: small (99.97 %; next large with 0.03 %)\n',
    );
  });

  it('takes numbers, and says how likely each yes is', async () => {
    const output = [expect.closeTo(1 / (1 + Math.exp(-2)), 6), 0.5];
    expect(await records('yes.safetensors', ['2,0'])).toEqual([{ input: '2,0', output }]);
    await expect(printed('yes.safetensors', ['2'])).rejects.toThrow(
      /1 number; expected 2 numbers separated by commas/,
    );
  });

  it('tells what follows the last rows of a series', async () => {
    const file = at('levels.csv');
    expect(await records('series.safetensors', [file])).toEqual([
      { input: file, output: [9], targets: ['level'] },
    ]);
    expect(await printed('series.safetensors', [file])).toBe(`${file}: level 9.00000\n`);
  });

  it('goes on with a text, past the context', async () => {
    expect(await records('gpt.safetensors', ['cab'])).toEqual([{ input: 'cab', text: 'cabcabc', tokens: 7 }]);
    expect(await printed('gpt.safetensors', ['cab'])).toBe('cabcabcabc\n');
  });

  it('writes the same with the same seed, something else with another', async () => {
    const write = (seed: number) =>
      records('gpt.safetensors', ['a'], { maxTokens: 40, temperature: 9, seed });
    expect(await write(3)).toEqual(await write(3));
    expect(await write(3)).not.toEqual(await write(4));
  });

  it('fills masks', async () => {
    expect(await records('bert.safetensors', ['a[MASK]c'])).toEqual([
      { input: 'a[MASK]c', text: 'abc', tokens: 1 },
    ]);
  });

  it.each([
    ['table.safetensors', 'blue', /as a row it has 1 value; expected 2: size,colour/],
    ['table.safetensors', 'colour=blue,length=8', /it has no size; the model was trained on size, colour/],
    ['table.safetensors', 'levels.csv', /it has no size, colour/],
    ['table.safetensors', 'big,blue', /size is 'big', which is not a number/],
    ['series.safetensors', 'rows.csv', /there is no column 'level'/],
    ['series.safetensors', 'absent.csv', /file not found/],
    ['gpt.safetensors', '', /the text is empty/],
    ['bert.safetensors', 'abc', /nothing is masked; write \[MASK\]/],
    ['bert.safetensors', 'abc[MASK]abc', /7 tokens; the model takes at most 4: shorten/],
  ])('%s refuses %j', async (model, input, message) => {
    const given = input.endsWith('.csv') ? at(input) : input;
    await expect(printed(model, [given])).rejects.toThrow(message);
    await expect(printed(model, [given])).rejects.toMatchObject({ code: 'DATA_INVALID' });
  });
});
