/** `kasane data pack` of files that no job reads: what is packed, what is guessed, and what the other commands say of them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, afterEach, expect, it, vi } from 'vitest';
import arrays from '../../data/test/support/array-files.json' with { type: 'json' };
import tables from '../../data/test/support/parquet-files.json' with { type: 'json' };
import { inspect } from '../src/commands/data/data.ts';
import { pack } from '../src/commands/data/pack.ts';
import { init } from '../src/commands/init/init.ts';

const folder = mkdtempSync(join(tmpdir(), 'kasane-data-pack-'));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => void vi.restoreAllMocks());
const write = (name: string, bytes: Buffer) => {
  writeFileSync(join(folder, name), bytes);
  return join(folder, name);
};
const npz = write('digits.npz', gunzipSync(Buffer.from(arrays['parts.npz'], 'base64')));
const tar = write('pictures.tar', gunzipSync(Buffer.from(arrays['ustar.tar'], 'base64')));
const parquet = write('table.parquet', Buffer.from(tables.snappy, 'base64'));

let made = 0;
async function run(path: string, set: readonly string[] = [], json = false) {
  const said = { out: '', err: '' };
  for (const name of ['out', 'err'] as const)
    vi.spyOn(process[`std${name}`], 'write').mockImplementation((text) => {
      said[name] += String(text);
      return true;
    });
  const to = join(folder, `packed-${made++}`);
  await pack(path, to, { set, json });
  return { ...said, to };
}

it('tells what it takes for what, and where the samples are', async () => {
  const { out, err, to } = await run(npz);
  expect(out).toMatch(
    /packed-0: 12 samples for training, 6 for testing, SHA-256 of its index [0-9a-f]{64}\n$/,
  );
  expect(err).toMatch(/'x' is the input \(--set input=NAME\)\n.*'y' is the target/);
  const { out: json } = await run(npz, [], true);
  expect(JSON.parse(json)).toMatchObject({
    train: 12,
    test: 6,
    notes: expect.any(Array),
    digest: expect.any(String),
  });
  const lines: string[] = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => lines.push(String(text)) > 0);
  await inspect(to, { set: [] });
  expect(lines.join('')).toMatch(/Input +u8 \[4, 3\]/);
});

it('a table with a list is one or the other, as --set says', async () => {
  await expect(run(parquet)).rejects.toThrow(
    /'v' holds lists, and 10 other columns single values\. To pack 'v' as the input, add --set input=v and --set target=COLUMN; to pack the others as a table, add --set format=csv/,
  );
  expect((await run(parquet, ['input=v', 'target=kind'])).out).toMatch(
    /19 samples for training, 5 for testing/,
  );
  const columns = ['columns.day=ignore', 'columns.at=ignore', 'missing=mean'];
  const { out, err } = await run(parquet, ['format=csv', 'target=kind', ...columns]);
  expect(out).toMatch(/19 samples for training, 5 for testing/);
  expect(err).toMatch(/the columns v, tokens, image, raw hold lists, objects or bytes and are not used/);
});

it('other commands say that it is packed first', async () => {
  for (const path of [npz, tar]) {
    const why = `${path}: pack it first: kasane data pack ${path} FOLDER, then use FOLDER in its place`;
    await expect(inspect(path, { set: [] })).rejects.toThrow(why);
    await expect(init(join(folder, 'job.yaml'), { data: path, set: [] } as never)).rejects.toThrow(why);
  }
});

it('what is wrong is one line, and nothing is packed into the data', async () => {
  await expect(run(npz, ['input=z'])).rejects.toThrow(/digits\.npz: there is no 'z' for input/);
  await expect(run(tar, ['size=0'])).rejects.toThrow(
    /--set size: it is 0; expected a whole number of pixels/,
  );
  await expect(run(join(folder, 'gone.npz'))).rejects.toThrow(/gone\.npz: /);
});
