/** What a weights file says of its data is checked before anything goes by it. */
import { expect, it } from 'vitest';
import { checkPreparation } from '../src/job/preparation.ts';

const column = { name: 'a', kind: 'number', mean: 0, std: 1, fill: 0 };
const table = { columns: [column], missing: 'fail', targets: [] };
const image = { height: 4, width: 4, channels: 3, fit: 'cover' };
const text = { tokenizer: { kind: 'byte' }, context: 4, objective: 'next-token' };
/** Each as long as two of those before. */
const doubling = (pairs: number) =>
  Array.from({ length: pairs }, (_, i) => (i === 0 ? [97, 97] : [255 + i, 255 + i]));
const series = { window: 2, horizon: 1, columns: [column], targets: ['a'] };

it.each([
  {},
  { mean: 0.1, std: 0.3, shape: [28, 28] },
  { mean: [1, 2, 3], std: 1, image, classes: ['a'] },
  { table: { ...table, inputs: [{ name: 'x', features: 1 }], classes: ['a'], form: { decimal: ',' } } },
  { table: { ...table, columns: [{ name: 'b', kind: 'index', categories: ['x'] }] } },
  { series: { ...series, order: 'sort', step: 1000 } },
  {
    text: {
      ...text,
      tokenizer: {
        kind: 'bpe',
        merges: [
          [0, 255],
          [256, 1],
        ],
      },
      pad: 'end',
    },
  },
  // A newer version may say more.
  { table: { ...table, more: true }, something: 1 },
])('%j is taken', (preparation) => {
  expect(checkPreparation(preparation)).toBe(preparation);
});

it.each([
  [{ mean: [1, 2, 3], std: [1, 2], image }, 'kasane.data.std: 2 numbers for 3 channels'],
  [{ mean: [1, 'x', 3], image }, 'kasane.data.mean'],
  [{ std: 0 }, 'kasane.data.std'],
  [{ image: 'x' }, 'kasane.data.image: expected keys with values, such as { a: 1 }, not text'],
  [{ classes: [{}] }, 'kasane.data.classes.0: expected text'],
  [{ table: 1e308 }, 'kasane.data.table: expected keys with values'],
  [{ table: { ...table, columns: -1 } }, 'kasane.data.table.columns: expected a list'],
  [{ table: { ...table, columns: [{ ...column, kind: 'numeric' }] } }, 'kasane.data.table.columns.0.kind'],
  [{ table: { ...table, columns: [{ ...column, std: 0 }] } }, 'kasane.data.table.columns.0.std'],
  [{ table: { ...table, targets: [{ ...column, mean: null }] } }, 'kasane.data.table.targets.0.mean'],
  [{ series: { ...series, window: 0 } }, 'kasane.data.series.window'],
  [{ text: { ...text, tokenizer: { kind: 'bpe', merges: [[0, 256]] } } }, 'a pair names a later token'],
  [{ text: { ...text, tokenizer: { kind: 'bpe', merges: [[0]] } } }, 'merges: expected pairs of tokens'],
  [{ text: { ...text, tokenizer: { kind: 'bpe', merges: [['0', 1]] } } }, 'merges: expected pairs of tokens'],
  [
    { text: { ...text, tokenizer: { kind: 'bpe', merges: doubling(40) } } },
    'merges: its tokens are more than 67108864 bytes long',
  ],
  [{ text: { ...text, tokenizer: { kind: 'word' } } }, 'kasane.data.text.tokenizer'],
])('%j is damaged', (preparation, why) => {
  expect(() => checkPreparation(preparation)).toThrow(why);
  expect(() => checkPreparation(preparation)).toThrow(expect.objectContaining({ code: 'FILE_DAMAGED' }));
});
