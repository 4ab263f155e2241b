import { expect, it } from 'vitest';
import type { ShardState } from '../src/steps/decide.ts';
import { Disproofs } from '../src/steps/disproofs.ts';

const shard = (index: number, ...failed: string[]): ShardState => ({
  ...{ shard: index, done: true, attempts: 1, issuedAt: 0, holders: [], lost: false },
  receivedAt: Number.NEGATIVE_INFINITY,
  failures: failed.map((worker) => ({ worker, attempt: 1, why: `${worker} threw`, kind: 'threw' as const })),
});

it('a worker whose failures others disprove three times is not asked any more', () => {
  const disproofs = new Disproofs();
  const step = () => disproofs.counted([shard(0, 'bad', 'bad')], ['good']);
  expect([step(), step()]).toEqual([[], []]);
  const why = { code: 'disproved', args: { count: 3, last: 'bad threw' } };
  expect(step()).toEqual([{ worker: 'bad', why }]);
  // Should it come again, it begins anew.
  expect(step()).toEqual([]);
});

it('a batch that was damaged is held against nobody', () => {
  const disproofs = new Disproofs();
  const damaged = {
    worker: 'honest',
    attempt: 1,
    kind: 'damaged',
    why: 'another program has replaced it',
  } as const;
  for (let turn = 0; turn < 9; turn++)
    expect(disproofs.counted([{ ...shard(0), failures: [damaged] }], ['other'])).toEqual([]);
});

it('nothing is held against who answers in the end, where nobody answers, or for what has been made up for', () => {
  const disproofs = new Disproofs();
  for (let turn = 0; turn < 9; turn++) {
    expect(disproofs.counted([shard(0, 'a')], ['a'])).toEqual([]);
    expect(disproofs.counted([shard(0, 'a', 'b')], [undefined])).toEqual([]);
    expect(disproofs.counted([shard(0, 'a'), shard(1)], ['b', 'a'])).toEqual([]);
  }
  disproofs.counted([shard(0, 'a'), shard(1, 'a')], ['b', 'b']);
  disproofs.forget('a');
  expect(disproofs.counted([shard(0, 'a')], ['b'])).toEqual([]);
});
