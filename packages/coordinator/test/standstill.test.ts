/** A job that stands still: others go on, and it fails in the end. One that waits for somebody else does not stand still. */
import { describe, expect, it } from 'vitest';
import { type Seen, Standstill } from '../src/jobs/standstill.ts';
import { Turns } from '../src/jobs/turns.ts';
import { watch } from '../src/steps/watch.ts';

const options = { yieldMs: 30_000, failMs: 60_000 };
const state = { since: 1_000, waitingFor: 'step 3: shard 0 is being computed', workers: 2 };

describe('watch', () => {
  it.each([
    [1_000, 'go on'],
    [30_999, 'go on'],
    [31_000, 'yield'],
    [60_999, 'yield'],
    [61_000, 'fail'],
  ])('at %i ms: %s', (now, action) => {
    expect(watch(now, state, options).action).toBe(action);
  });

  it('says for how long, who could answer, and what is waited for', () => {
    expect(watch(61_000, state, options)).toEqual({
      action: 'fail',
      why: 'no answer for 60 s, though 2 workers are connected that can compute it: step 3: shard 0 is being computed',
    });
  });

  it('a limit below half a minute holds', () => {
    expect(watch(6_000, state, { ...options, failMs: 5_000 }).action).toBe('fail');
  });
});

describe('a standstill', () => {
  const seen = (rest: Partial<Seen> = {}): Seen => ({
    ...{ answeredAt: 0, able: true, workers: 1, waitingFor: 'a shard' },
    ...rest,
  });

  it('begins, ends with an answer, and begins again', () => {
    const standstill = new Standstill(0, 3_600);
    const look = (now: number, answeredAt: number) => standstill.look(now, seen({ answeredAt }));
    expect(look(29_000, 0)).toMatchObject({ changed: false, watched: { action: 'go on' } });
    expect(look(31_000, 0)).toMatchObject({ changed: true, watched: { action: 'yield' } });
    expect(look(32_000, 0).changed).toBe(false);
    expect(look(33_000, 32_500)).toMatchObject({ changed: true, watched: { action: 'go on' } });
    expect(look(62_600, 32_500).watched.action).toBe('yield');
  });

  it.each([{ workers: 0 }, { able: false }])('none while %j', (rest) => {
    const standstill = new Standstill(0, 60);
    expect(standstill.look(1e6, seen(rest)).watched.action).toBe('go on');
    // The time counts from then.
    expect(standstill.look(1e6 + 29_000, seen()).watched.action).toBe('go on');
    expect(standstill.look(1e6 + 61_000, seen()).watched.action).toBe('fail');
  });
});

it('others compute while one stands still, and it takes part again when something comes of it', async () => {
  const turns = new Turns(() => 1);
  const [a, b] = ['a', 'b'].map((id) => turns.enter(id, 1, 0)) as [
    ReturnType<Turns['enter']>,
    ReturnType<Turns['enter']>,
  ];
  expect(a.next(0)).toBeUndefined();
  const waiting = b.next(0);
  expect(b.why).toContain('job a computes a step');
  a.stand(true);
  await waiting;
  // Its own answer has come: it is as it was.
  a.stand(false);
  expect(a.state).toBe('computing');
  const next = b.next(5);
  expect(b.state).toBe('waiting');
  a.leave();
  await next;
});
