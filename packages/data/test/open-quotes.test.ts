/** A quotation mark that is not closed is met at the end of the file, and named where its row begins. */
import { expect, it } from 'vitest';
import { lines, tableFiles } from './support/table-files.ts';

const { table } = tableFiles();

it.each([
  ['in the middle', 17, {}],
  ['in the header', 1, {}],
  ['in the last row', 41, {}],
  ['after lines that are skipped', 17, { skipLines: 3 }],
] as const)('%s', async (_, at, options) => {
  const title = lines(options && 'skipLines' in options ? options.skipLines : 0, () => 'A "title');
  const begins = at + ('skipLines' in options ? options.skipLines : 0);
  const rows = `x,kind\n${lines(40, (i) => `${i},${i % 2 ? 'a' : 'b'}`)}`.split('\n');
  rows[at - 1] = rows[at - 1]!.replace(/^/, '"');
  await expect(table(`${title}${rows.join('\n')}`, options)).rejects.toThrow(
    new RegExp(`csv:${begins}: the row that starts here has a quotation mark that is never closed`),
  );
});

it('rows of several lines before it count as what they are', async () => {
  const content = `x,kind\n${lines(6, (i) => `"${i}\n${i}",a`)}"7,a\n8,b\n9,b\n`;
  await expect(table(content)).rejects.toThrow(/csv:14: the row that starts here/);
});

it('a row without an end is named where it begins', async () => {
  const content = `x,kind\n1,a\n"${lines(500_000, (i) => `${i},abcdef`)}`;
  await expect(table(content)).rejects.toThrow(
    /csv:3: the row that starts here has more than 4194304 characters/,
  );
});
