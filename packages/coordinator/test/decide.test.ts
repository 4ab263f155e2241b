import { describe, expect, it } from 'vitest';
import { decide, defaultDecideOptions, type ShardState, type StepState } from '../src/steps/decide.ts';

const shard = (index: number, rest: Partial<ShardState> = {}): ShardState => ({
  shard: index,
  done: false,
  attempts: 1,
  issuedAt: 0,
  holders: [],
  lost: false,
  failedOn: [],
  failure: '',
  ...rest,
});
const held = (worker: string, claimedAt = 0) => ({ holders: [{ worker, attempt: 1, claimedAt }] });
const step = (shards: ShardState[], rest: Partial<StepState> = {}): StepState => ({
  startedAt: 0,
  progressAt: 0,
  shards,
  workers: 2,
  typicalMs: 0,
  ...rest,
});
const at = (now: number, state: StepState) => decide(now, state, defaultDecideOptions);

describe('decide', () => {
  it('commits when every shard has answered, and only then', () => {
    expect(at(0, step([shard(0, { done: true }), shard(1, { done: true })])).action).toBe('commit');
    expect(at(0, step([shard(0, { done: true }), shard(1, held('a'))])).action).toBe('wait');
  });

  it('hands a lost shard out again at once, even while no worker is connected', () => {
    const decision = at(1, step([shard(0, { done: true }), shard(1, { lost: true })], { workers: 0 }));
    expect(decision).toMatchObject({ action: 'reissue', shards: [1], unclaimed: false });
    expect(decision.why).toContain('shard 1');
  });

  it('keeps waiting for a second holder of a shard whose first one left', () => {
    expect(at(1, step([shard(0, { lost: true, ...held('b') })])).action).toBe('wait');
  });

  it('says that no worker is connected, and waits for ever', () => {
    expect(at(1e9, step([shard(0)], { workers: 0 }))).toEqual({
      action: 'wait',
      until: Number.POSITIVE_INFINITY,
      why: 'no worker is connected',
    });
  });

  it('puts back what nobody fetched, counting from the last progress', () => {
    const state = step([shard(0)], { progressAt: 1000 });
    expect(at(2999, state)).toMatchObject({ action: 'wait', until: 3000 });
    expect(at(3000, state)).toMatchObject({ action: 'reissue', shards: [0], unclaimed: true });
  });

  it('is twice as patient with each further attempt, up to a limit', () => {
    expect(at(0, step([shard(0, { attempts: 3 })]))).toMatchObject({ until: 8000 });
    expect(at(0, step([shard(0, { attempts: 60 })]))).toMatchObject({ until: 64_000 });
  });

  it('hands out a late shard a second time and names its holder', () => {
    const decision = at(5000, step([shard(0, held('slowpoke'))]));
    expect(decision).toMatchObject({ action: 'reissue', shards: [0], unclaimed: false });
    expect(decision.why).toContain('slowpoke');
  });

  it('measures lateness by what a computation usually takes', () => {
    expect(at(5000, step([shard(0, held('a'))], { typicalMs: 2000 }))).toMatchObject({
      action: 'wait',
      until: 20_000,
    });
  });

  it('fails when the computation throws on two workers, or again and again on the only one', () => {
    const once = shard(0, { lost: true, failedOn: ['a'], failure: 'out of memory' });
    expect(at(0, step([once])).action).toBe('reissue');
    expect(at(0, step([{ ...once, failedOn: ['a', 'b'] }]))).toMatchObject({ action: 'fail' });
    const decision = at(0, step([{ ...once, failedOn: ['a', 'a', 'a', 'a'] }]));
    expect(decision.action).toBe('fail');
    expect(decision.why).toContain('out of memory');
  });
});
