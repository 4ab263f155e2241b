/** Names of classes, columns, files and jobs are shown by every command on one line, with nothing that a terminal obeys. */
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KasaneError } from '@kasane/protocol/errors';
import { encodeModelFile } from '@kasane/tensor/io/model-file';
import { buildModel } from '@kasane/tensor/nn/model';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { inspect } from '../src/commands/data/data.ts';
import { pack } from '../src/commands/data/pack.ts';
import { init } from '../src/commands/init/init.ts';
import { predict } from '../src/commands/predict/predict.ts';
import { reportFailure } from '../src/process/failure.ts';

/** What would pass for a line of its own, if an end of a line came through. */
const FORGED = 'Forged: all is well';
const odd = (name: string) => `${name}\u001b[2J\n${FORGED}\r\u009b31m\u202e\t`;
const orders = /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-names-'));
  const pictureOf = (green: number) =>
    sharp({ create: { width: 8, height: 8, channels: 3, background: { r: 9, g: green, b: 99 } } })
      .png()
      .toBuffer();
  // One for each class: the same in two would contradict itself.
  const pictures = { cat: await pictureOf(9), dog: await pictureOf(200) };
  for (const name of ['cat', 'dog'] as const) {
    for (const [kind, ending, bytes] of [
      ['images', 'png', pictures[name]],
      ['texts', 'txt', `about ${name}`],
    ] as const) {
      const at = join(folder, kind, odd(name));
      mkdirSync(at, { recursive: true });
      for (let i = 0; i < 40; i++) writeFileSync(join(at, `${odd(String(i))}.${ending}`), bytes);
    }
    // Said of in a note.
    writeFileSync(join(folder, 'images', odd(name), `no ${odd('picture')}.png`), 'x');
  }
  const rows = Array.from(
    { length: 40 },
    (_, i) => `"${odd(i % 2 === 0 ? 'red' : 'blue')}",${i},"${odd(i % 3 === 0 ? 'cat' : 'dog')}"`,
  );
  writeFileSync(join(folder, 'rows.csv'), [`"${odd('colour')}",size,kind`, ...rows, ''].join('\n'));
  const model = buildModel({ input: [1], classes: 2, layers: [{ type: 'dense', units: 2 }] });
  const parameters = new Float32Array(model.parameterCount);
  const classes = [odd('cat'), odd('dog')];
  writeFileSync(
    join(folder, 'model.safetensors'),
    encodeModelFile({ model, parameters, about: { preparation: { classes } } }),
  );
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => {
  vi.restoreAllMocks();
});

/** All that a command writes, and what it fails with, as its process would. */
async function shown(body: () => Promise<void>): Promise<string> {
  const spies = [process.stdout, process.stderr].map((stream) =>
    vi.spyOn(stream, 'write').mockReturnValue(true),
  );
  try {
    await body();
  } catch (error) {
    reportFailure(error);
  }
  return spies.flatMap(({ mock }) => mock.calls.map(([text]) => String(text))).join('');
}

function expectSafe(text: string): void {
  expect(text).not.toMatch(orders);
  // It is shown, within the line of something else.
  expect(text).toContain(FORGED);
  for (const line of text.split('\n')) expect(line).not.toMatch(new RegExp(`^\\s*(?:# )?${FORGED}`));
}

const target = 'target=kind';
describe.each([
  ['images', ['size=4']],
  ['texts', ['context=8']],
  ['rows.csv', [target]],
] as const)('of %s', (name, set) => {
  it.each([true, false])('inspect, --json %s', async (json) => {
    expectSafe(await shown(() => inspect(join(folder, name), { set, json })));
  });

  it('init, and the file that it writes', async () => {
    const file = join(folder, `${name}.yaml`);
    const said = await shown(() =>
      init(file, {
        data: join(folder, name),
        set: set.filter((one) => one !== target),
        ...(name === 'rows.csv' && { target: 'kind' }),
        yes: true,
      }),
    );
    const text = readFileSync(file, 'utf8');
    for (const line of [...said.split('\n'), ...text.split('\n')])
      expect(line).not.toMatch(new RegExp(`^\\s*(?:# )?${FORGED}`));
    expect(said).not.toMatch(orders);
    expect(
      text
        .split('\n')
        .filter((line) => line.startsWith('#'))
        .join('\n'),
    ).not.toMatch(orders);
  });
});

it('the labels of a sheet', async () => {
  const sheet = join(folder, 'sheet.png');
  const said = await shown(() => inspect(join(folder, 'images'), { set: ['size=4'], sheet }));
  expect(said).toMatch(/^Sheet {4}.*sheet\.png; its labels, row by row:$/m);
  expect(said.match(/^ {9}cat.*cat/gm)).toHaveLength(4);
  expect(said.match(/^ {9}dog.*dog/gm)).toHaveLength(4);
  expect(said).not.toMatch(orders);
});

it('what is left out, in pack', async () => {
  expectSafe(
    await shown(() =>
      pack(join(folder, 'images'), join(folder, 'packed'), { set: ['size=4', 'onDamaged=skip'] }),
    ),
  );
  expectSafe(await shown(() => pack(join(folder, 'images'), join(folder, 'packed'), { set: ['size=4'] })));
});

it.each([true, false])('answers of predict, --json %s', async (json) => {
  const options = { coordinator: '127.0.0.1:1', maxTokens: 1, temperature: 0, topK: 0, seed: 0, json };
  expectSafe(await shown(() => predict(join(folder, 'model.safetensors'), ['1'], options)));
  expectSafe(await shown(() => predict(join(folder, 'model.safetensors'), [odd('x')], options)));
});

it('failures: a name does not hide what is wrong; of a job file each fault has a line', async () => {
  const fail = (code: 'DATA_INVALID' | 'JOB_INVALID') =>
    shown(() => Promise.reject(new KasaneError(code, `${odd('x')}: it is empty`)));
  expect(await fail('DATA_INVALID')).toMatch(/^kasane: x.*: it is empty\n$/);
  expect(await fail('JOB_INVALID')).toMatch(/kasane: x[^\n]*\n {2}Forged: all is well[^\n]*: it is empty\n$/);
});

it('what names are printed in goes out as lines', () => {
  const sources = fileURLToPath(new URL('../src/', import.meta.url));
  const whole = globSync('**/*.ts', { cwd: sources }).filter((name) => {
    const calls = readFileSync(sources + name, 'utf8').match(
      /\b(?:out|err)\.write\((?!`\$\{JSON\.stringify)/g,
    );
    return calls !== null;
  });
  // Text that a model writes, or the user's own program; cards, which clean the names themselves; tables, whose cells are lines; paths that the user has just typed; names that are checked.
  const commands = [
    ...['about', 'cert/cert', 'context/context', 'dashboard/dashboard', 'data/get/get', 'doctor/doctor'],
    ...[
      'export/export',
      'init/init',
      'jobs/jobs',
      'model/model',
      'models/layers',
      'models/models',
      'predict/predict',
      'serve/backup',
    ],
    ...['serve/serve', 'token/token'],
  ];
  const others = ['files/read-program.ts', 'main.ts', 'process/failure.ts'];
  expect(whole.sort()).toEqual([...commands.map((name) => `commands/${name}.ts`), ...others]);
});
