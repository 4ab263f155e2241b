import { describe, expect, it } from 'vitest';
import { decide, defaultDecideOptions, type ShardState, type StepState } from '../src/steps/decide.ts';

const shard = (index: number, rest: Partial<ShardState> = {}): ShardState => ({
  shard: index,
  done: false,
  attempts: 1,
  issuedAt: 0,
  holders: [],
  lost: false,
  failures: [],
  receivedAt: Number.NEGATIVE_INFINITY,
  ...rest,
});
const held = (worker: string, claimedAt = 0) => ({ holders: [{ worker, attempt: 1, claimedAt }] });
const step = (shards: ShardState[], rest: Partial<StepState> = {}): StepState => ({
  startedAt: 0,
  progressAt: 0,
  leftAt: Number.NEGATIVE_INFINITY,
  shards,
  heardAt: new Map([
    ['a', 0],
    ['b', 0],
  ]),
  able: ['a', 'b'],
  proven: new Set(),
  idle: new Set(),
  suspects: new Set(),
  isTrying: false,
  wasComputed: false,
  refusals: [],
  typicalMs: 0,
  transferMs: 0,
  ...rest,
});
const heard = (time: number) =>
  new Map([
    ['a', time],
    ['b', time],
  ]);
const at = (now: number, state: StepState) => decide(now, state, defaultDecideOptions);

describe('decide', () => {
  it.each([
    // Nobody knows yet how long one takes.
    ['wait', {}, {}],
    ['reissue', { receivedAt: 34_000 }, {}],
    // Others are known to be quicker.
    ['reissue', {}, { typicalMs: 100, heardAt: heard(40_000) }],
    // Nobody else could help.
    ['wait', {}, { typicalMs: 100, able: ['a'] }],
    ['reissue', { receivedAt: 9_000 }, { typicalMs: 100, able: ['a'] }],
  ])('%s where part of a gradient has just come, %j, %j', (action, of, rest) => {
    const slow = shard(0, { receivedAt: 39_000, ...held('a'), ...of });
    expect(at(40_000, step([slow], { heardAt: heard(39_900), ...rest })).action).toBe(action);
  });

  it('a worker is silent for longer where transfers take long: its heartbeats share the network', () => {
    const silent = (transferMs: number) =>
      at(5_000, step([shard(0, held('a'))], { typicalMs: 4_000, transferMs })).action;
    expect([silent(0), silent(1_000), silent(3_000)]).toEqual(['reissue', 'reissue', 'wait']);
  });

  it('commits when every shard has answered, and only then', () => {
    expect(at(0, step([shard(0, { done: true }), shard(1, { done: true })])).action).toBe('commit');
    expect(at(0, step([shard(0, { done: true }), shard(1, held('a'))])).action).toBe('wait');
  });

  it('hands a lost shard out again at once, even while no worker is connected', () => {
    const decision = at(
      1,
      step([shard(0, { done: true }), shard(1, { lost: true })], { heardAt: new Map() }),
    );
    expect(decision).toMatchObject({ action: 'reissue', shards: [1], unclaimed: false });
    expect(decision.why).toEqual({ code: 'shards-returned', args: { shards: [1] } });
  });

  it('keeps waiting for a second holder of a shard whose first one left', () => {
    expect(at(1, step([shard(0, { lost: true, ...held('b') })])).action).toBe('wait');
  });

  it('says that no worker is connected, and waits for ever', () => {
    expect(at(1e9, step([shard(0)], { heardAt: new Map() }))).toEqual({
      action: 'wait',
      until: Number.POSITIVE_INFINITY,
      why: { code: 'no-worker', args: {} },
    });
  });

  it('hands a first round out again once it stands still, however long it takes, and later ones when they take too long', () => {
    const holders = [{ worker: 'a', attempt: 1, claimedAt: 0, localSteps: 3, progressAt: 60_000 }];
    const state = (more: Partial<StepState>) =>
      step([shard(0, { holders })], { heardAt: heard(64_000), ...more });
    expect(at(64_000, state({}))).toMatchObject({ action: 'wait', until: 65_000 });
    expect(at(65_000, state({}))).toMatchObject({ action: 'reissue', shards: [0] });
    expect(at(64_000, state({ typicalMs: 10_000 }))).toMatchObject({ action: 'reissue', shards: [0] });
  });

  it('puts back what nobody fetched, counting from the last progress', () => {
    const state = step([shard(0)], { progressAt: 1000 });
    expect(at(2999, state)).toMatchObject({ action: 'wait', until: 3000 });
    expect(at(3000, state)).toMatchObject({ action: 'reissue', shards: [0], unclaimed: true });
  });

  it('puts back sooner what was there when a worker left: that one may have fetched it', () => {
    const left = { startedAt: 900, progressAt: 1000, leftAt: 1100, typicalMs: 20 };
    expect(at(1249, step([shard(0)], left))).toMatchObject({ action: 'wait', until: 1250 });
    expect(at(1250, step([shard(0)], left))).toMatchObject({ action: 'reissue', unclaimed: true });
    // What takes longer waits longer: it may well be in the queue still, while others are computed.
    expect(at(1250, step([shard(0)], { ...left, typicalMs: 400 }))).toMatchObject({ until: 1500 });
    expect(at(1250, step([shard(0, { issuedAt: 1101 })], left))).toMatchObject({ until: 3101 });
    // Its step came later.
    expect(at(5000, step([shard(0)], { ...left, startedAt: 5000 }))).toMatchObject({ until: 5150 });
  });

  it('is twice as patient with each further attempt, up to a limit', () => {
    expect(at(0, step([shard(0, { attempts: 3 })]))).toMatchObject({ until: 8000 });
    expect(at(0, step([shard(0, { attempts: 60 })]))).toMatchObject({ until: 64_000 });
  });

  it('hands out a late shard a second time and names its holder', () => {
    const late = step([shard(0, held('a'))], { typicalMs: 100, heardAt: heard(1000) });
    expect(at(999, late)).toMatchObject({ action: 'wait', until: 1000 });
    const decision = at(1000, late);
    expect(decision).toMatchObject({ action: 'reissue', shards: [0], unclaimed: false });
    expect(decision.why).toEqual({ code: 'shards-overdue', args: { shards: [0], workers: [['a']] } });
  });

  it('measures lateness by the median, and is patient while there is none', () => {
    const after = (typicalMs: number) =>
      at(0, step([shard(0, held('a'))], { typicalMs, heardAt: heard(1e6) }));
    expect(after(2000)).toMatchObject({ action: 'wait', until: 10_000 });
    expect(after(0)).toMatchObject({ action: 'wait', until: 5000 });
  });

  it('hands out again what a silent worker holds, however long a computation takes', () => {
    const silent = step([shard(0, held('a'))], { typicalMs: 60_000, heardAt: heard(500) });
    expect(at(3499, silent)).toMatchObject({ action: 'wait', until: 3500 });
    expect(at(3500, silent)).toMatchObject({ action: 'reissue', shards: [0] });
  });

  it('does not ask a worker twice that is the only one', () => {
    const only = { typicalMs: 100, able: ['a'], heardAt: new Map([['a', 0]]) };
    expect(at(29_999, step([shard(0, held('a'))], only)).action).toBe('wait');
    expect(at(30_000, step([shard(0, held('a'))], only)).action).toBe('reissue');
  });

  const failure = { worker: 'a', attempt: 1, kind: 'threw', why: 'out of memory' } as const;
  it('fails when a shard has failed too often, with where and why', () => {
    const failing = (times: number) =>
      at(0, step([shard(0, { lost: true, failures: new Array(times).fill(failure) })], { able: ['a'] }));
    expect(failing(5).action).toBe('reissue');
    expect(failing(6)).toEqual({
      ...{ action: 'fail', notFinite: false },
      why: {
        code: 'shard-failed',
        args: { shard: 0, times: 6, workers: 1, said: [{ why: 'out of memory', workers: ['a'] }] },
      },
    });
    const failures = [1, 2].map(() => ({ ...failure, kind: 'not finite' }) as const);
    const state = step([shard(3, { lost: true, failures })], { able: ['a'] });
    expect(at(0, state)).toMatchObject({ action: 'fail', notFinite: true, shard: 3 });
  });

  it('fails where nobody can compute the job, and waits where somebody could', () => {
    const args = { said: [{ why: 'too large', workers: ['a'] }] };
    const none = { able: [], refusals: [{ worker: 'a', why: 'too large' }] };
    expect(at(0, step([shard(0)], none))).toMatchObject({
      action: 'fail',
      why: { code: 'no-worker-can', args },
    });
    expect(at(0, step([shard(0)], { ...none, wasComputed: true }))).toMatchObject({
      action: 'wait',
      why: { code: 'no-able-worker', args },
    });
  });
});
