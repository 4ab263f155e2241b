/** Callers whose work is done one piece at a time: turns, bounds, and clients that are gone. */
import { expect, it } from 'vitest';
import { CallerTurns } from '../src/submit/caller-turns.ts';

/** Work that ends when it is told to, and what has begun and been answered of it, in order. */
class Desk {
  readonly turns = new CallerTurns({ what: 'job files', atOnce: 1, perCaller: 100, all: 150 });
  readonly begun: string[] = [];
  readonly answered: string[] = [];
  #finish: (() => void) | undefined;

  ask(caller: string, name: string, signal = new AbortController().signal): Promise<void> {
    const work = async () => {
      this.begun.push(name);
      await new Promise<void>((resolve) => {
        this.#finish = resolve;
      });
      this.answered.push(name);
    };
    return this.turns.run({ caller, signal }, work);
  }

  /** Ends pieces until none is left. */
  async clear(): Promise<void> {
    while (this.#finish) {
      const finish = this.#finish;
      this.#finish = undefined;
      finish();
      await new Promise(setImmediate);
    }
  }
}

const names = (of: string, count: number) => Array.from({ length: count }, (_, i) => `${of}${i + 1}`);

it('the second caller is answered after one piece of the first', async () => {
  const desk = new Desk();
  const all = names('a', 100).map((name) => desk.ask('a', name));
  all.push(...names('b', 3).map((name) => desk.ask('b', name)), desk.ask('c', 'c1'));
  await desk.clear();
  await Promise.all(all);
  expect(desk.answered.slice(0, 9)).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3', 'b3', 'a4', 'a5']);
  expect(desk.answered).toHaveLength(104);
});

it('refuses what is too much of one caller, and of all, and takes it later', async () => {
  const desk = new Desk();
  const all = names('a', 100).map((name) => desk.ask('a', name));
  await expect(desk.ask('a', 'more')).rejects.toMatchObject({
    code: 'LIMIT',
    message: '100 job files of this caller are waiting, which is the limit: try again later',
  });
  all.push(...names('b', 50).map((name) => desk.ask('b', name)));
  await expect(desk.ask('c', 'more')).rejects.toMatchObject({
    code: 'LIMIT',
    message: '150 job files are waiting, which is the limit: try again later',
  });
  await desk.clear();
  await Promise.all(all);
  all.push(desk.ask('a', 'again'));
  await desk.clear();
  await Promise.all(all);
  expect(desk.begun).not.toContain('more');
  expect(desk.answered.at(-1)).toBe('again');
});

it('never begins what nobody waits for any more, and gives its place to others', async () => {
  const desk = new Desk();
  const client = new AbortController();
  const kept = desk.ask('b', 'b1');
  const dropped = names('a', 100).map((name) => desk.ask('a', name, client.signal).catch(({ code }) => code));
  client.abort();
  const later = desk.ask('a', 'later');
  await desk.clear();
  await Promise.all([kept, later]);
  expect(new Set(await Promise.all(dropped))).toEqual(new Set(['UNREACHABLE']));
  expect(await desk.ask('a', 'late', client.signal).catch(({ code }) => code)).toBe('UNREACHABLE');
  expect(desk.begun).toEqual(['b1', 'later']);
});

it('goes on after a piece that fails', async () => {
  const turns = new CallerTurns({ what: 'job files', atOnce: 1, perCaller: 2, all: 2 });
  const asker = { caller: 'a', signal: new AbortController().signal };
  const failed = turns.run(asker, () => Promise.reject(new Error('no')));
  const done = turns.run(asker, async () => 'done');
  await expect(failed).rejects.toThrow('no');
  expect(await done).toBe('done');
});

it('does a few pieces at once, each for another caller', async () => {
  const turns = new CallerTurns({ what: 'jobs', atOnce: 2, perCaller: 10, all: 20 });
  const finish = new Map<string, () => void>();
  const begun: string[] = [];
  const ask = (caller: string, name: string) =>
    turns.run({ caller, signal: new AbortController().signal }, () => {
      begun.push(name);
      return new Promise<void>((resolve) => void finish.set(name, resolve));
    });
  const all = [ask('a', 'a1'), ask('a', 'a2'), ask('b', 'b1'), ask('c', 'c1')];
  expect(begun).toEqual(['a1', 'b1']);
  for (const [name, next] of [
    ['b1', ['a1', 'b1', 'c1']],
    ['a1', ['a1', 'b1', 'c1', 'a2']],
  ] as const) {
    finish.get(name)!();
    await new Promise(setImmediate);
    expect(begun).toEqual(next);
  }
  for (const end of finish.values()) end();
  await Promise.all(all);
});
