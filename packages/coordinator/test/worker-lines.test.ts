/** What workers say fills no log: bounded lines of one worker and of all. */
import { expect, it } from 'vitest';
import { WorkerLines } from '../src/run/worker-lines.ts';

function lines() {
  const written: string[] = [];
  const write = (about: unknown, line?: string) => void written.push(line ?? String(about));
  return { written, of: new WorkerLines({ info: write, warn: write }) };
}

it('writes some lines of a worker that says the same thousands of times, and those of others', () => {
  const { written, of } = lines();
  for (let i = 0; i < 10_000; i++) of.write('warn', { worker: 'liar', i }, `refused ${i}`, 0);
  of.write('warn', { worker: 'honest' }, 'slow', 0);
  expect(written).toHaveLength(32);
  expect(written[30]).toBe('more than 30 lines per minute about worker liar: further ones are only counted');
  expect(written.at(-1)).toBe('slow');
  of.write('warn', { worker: 'liar' }, 'again', 60_000);
  expect(written.slice(-2)).toEqual(['9970 other lines about workers were not logged', 'again']);
});

it('bounds the lines of many names together', () => {
  const { written, of } = lines();
  for (let i = 0; i < 10_000; i++) of.write('info', { worker: `w${i}` }, 'no', 0);
  expect(written).toHaveLength(300);
});
