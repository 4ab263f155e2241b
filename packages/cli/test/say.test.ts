/** Text of others reaches no terminal and no log as an order: escape sequences, marks that turn the direction of writing. */
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { printable, printableLine, shortened } from '@kasane/protocol/internal/events/plain-text';
import { describe, expect, it } from 'vitest';
import { screen } from '../src/commands/top/screen.ts';
import { table } from '../src/render/table.ts';

/** Titles, colours, links, a cleared screen, C1, DEL, bidirectional marks, tags, half a pair, ends of lines that hide a line. */
const nasty = [
  '\u001b]0;title\u0007',
  '\u001b[2J\u001b[31m',
  '\u001b]8;;http://x\u001b\\',
  '\u009b31m',
  '\u007f\b\b',
  '\u202eabc\u2066',
  '\u{e0041}',
  '\ud800',
  'a\rb',
  '\u2028',
  '\u200b\ufeff',
];
const orders = /(?![\t\n\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

describe('printable', () => {
  it.each(nasty)('writes out %j', (text) => {
    expect(printable(`a${text}b`)).not.toMatch(orders);
    expect(printableLine(`a${text}\nb`)).not.toMatch(/[\n\t]/);
    // JSON stands for the same value.
    expect(JSON.parse(printable(JSON.stringify({ [text]: text })))).toEqual({ [text]: text });
  });

  it('leaves what people write', () => {
    const text = 'naïve 猫がいる الحروف שלום 👍🏽 e\u0301\ttab\nline';
    expect(printable(text)).toBe(text);
    expect(printable('a\r\nb')).toBe('a\nb');
  });

  it('is short where it was long, and says so', () => {
    expect(shortened('abc', 3)).toBe('abc');
    expect(shortened('👍'.repeat(10), 3)).toBe('👍... (20 characters)');
  });
});

it('a table, and every screen of top, have none of it', () => {
  const all = nasty.join('');
  const lines = table(
    ['A', 'B'],
    [
      [all, '1'],
      ['x', all],
    ],
  ).split('\n');
  expect(lines).toHaveLength(3);
  for (const line of lines) expect(line).not.toMatch(orders);
  const job = {
    id: all,
    name: all,
    error: all,
    waitingFor: { code: all, args: '', text: all },
    metric: all,
    history: [],
  };
  const numbers = {
    epoch: 1,
    epochs: 2,
    step: 1,
    steps: 2,
    state: 2,
    priority: 0,
    trainLoss: 1,
    samplesPerSecond: 1,
  };
  const worker = {
    id: all,
    host: all,
    backend: all,
    slots: 1,
    tasksDone: 1,
    tasksHeld: 0,
    draining: false,
    ...{ resting: [], routes: [] },
  };
  const point = { step: 1, loss: 1, metric: 1, learningRate: 1, gradientNorm: 1, layers: [] };
  const snapshot = {
    jobs: [{ ...job, ...numbers }],
    workers: [worker],
    version: all,
    problem: all,
    layers: [{ name: all, type: all, outputShape: [1], parameters: 1, flops: 1, from: [all] }],
    points: [point, { ...point, step: 2 }],
  };
  for (const view of ['curves', 'layers', 'workers'])
    for (const { text } of screen(snapshot as never, { view, job: all, said: all } as never, {
      columns: 200,
      rows: 40,
      coordinator: all,
    }))
      expect(text).not.toMatch(orders);
});

it.each(['text', 'json'])('a log as %s has none of it', (format) => {
  const source = `
    import { makeLog } from ${JSON.stringify(new URL('../src/output/log.ts', import.meta.url))};
    const all = ${JSON.stringify(nasty.join(''))};
    makeLog('info', ${JSON.stringify(format)}).info({ peer: all, deep: { all } }, 'said: ' + all);`;
  const { stderr } = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', source], {
    encoding: 'utf8',
  });
  expect(stderr).toContain('said: ');
  expect(stderr).not.toMatch(orders);
  if (format === 'json') expect(JSON.parse(stderr)).toMatchObject({ msg: `said: ${nasty.join('')}` });
});

it('nothing is written past say.ts', () => {
  const folder = fileURLToPath(new URL('../src/', import.meta.url));
  const past = globSync('**/*.ts', { cwd: folder }).flatMap((name) => {
    const lines = readFileSync(folder + name, 'utf8').split('\n');
    return lines
      .filter((line) => /process\.std(out|err)\.write|console\.\w+\(/.test(line))
      .map((line) => [name, line.trim()]);
  });
  // A counter of samples, drawn over itself: numbers alone.
  const allowed = ['commands/data/pack.ts', expect.stringContaining(' samples')];
  expect(past).toEqual([allowed]);
});

it('long runs of white space are joined as short ones are', () => {
  const spaces = ' '.repeat(200_000);
  expect(printableLine(`a${spaces}b`)).toBe(`a${spaces}b`);
  expect(printableLine(`a${spaces}\n${spaces}\t\n b`)).toBe('a b');
  for (const [text, line] of [
    ['a\nb', 'a b'],
    ['\na', ' a'],
    ['a\n', 'a '],
    [' a ', ' a '],
    ['\n\n', ' '],
    ['a \r\n\n\tb\nc', 'a b c'],
  ] as const)
    expect(printableLine(text)).toBe(line);
});
