import { describe, expect, it } from 'vitest';
import { Tracker } from '../src/steps/tracker.ts';

const holder = (worker: string, attempt = 1) => ({ worker, attempt, claimedAt: 0 });

describe('Tracker', () => {
  it('takes a claim once: repeated, or of what was never handed out, it is no news', () => {
    const tracker = new Tracker();
    tracker.open(0, 1, 0);
    const claim = (attempt: number, claimedAt: number) =>
      tracker.claim(0, 0, { worker: 'a', attempt, claimedAt });
    expect(claim(2, 5)).toBe(false);
    expect(claim(1, 10)).toBe(true);
    expect(claim(1, 20)).toBe(false);
    expect(tracker.claim(7, 0, { worker: 'a', attempt: 1, claimedAt: 20 })).toBe(false);
    expect(tracker.holders(0, 0)).toEqual([{ worker: 'a', attempt: 1, claimedAt: 10 }]);
    tracker.issue(0, 0, 30);
    expect(claim(2, 40)).toBe(true);
    expect(claim(1, 50)).toBe(false);
    expect(tracker.holders(0, 0)).toEqual([{ worker: 'a', attempt: 2, claimedAt: 40 }]);
  });

  it('takes no claim of an attempt that failed at the same worker: it cannot fail twice', () => {
    const tracker = new Tracker();
    tracker.open(0, 1, 0);
    tracker.claim(0, 0, holder('a'));
    tracker.release(0, 0, 'a', { kind: 'threw', why: 'it threw' });
    expect(tracker.claim(0, 0, holder('a'))).toBe(false);
    expect(tracker.holds(0, 0, 'a', 1)).toBe(false);
    expect(tracker.claim(0, 0, holder('b'))).toBe(true);
    tracker.issue(0, 0, 1);
    expect(tracker.claim(0, 0, holder('a', 2))).toBe(true);
    expect(tracker.shards(0)[0]?.failures).toHaveLength(1);
  });

  it('a gradient shows 64 times at most that it is on its way', () => {
    const tracker = new Tracker();
    tracker.open(0, 1, 0);
    tracker.claim(0, 0, holder('a'));
    let signs = 0;
    for (let piece = 1; piece <= 1024; piece++) if (tracker.received(0, 0, 1 / 1024, piece)) signs++;
    expect([signs, tracker.shards(0)[0]!.receivedAt]).toEqual([64, 1024]);
    tracker.finish(0, 0);
    expect(tracker.received(0, 0, 1, 2000)).toBe(false);
  });

  it('takes progress of a round from who computes it, and only forward', () => {
    const tracker = new Tracker();
    tracker.open(0, 1, 0);
    tracker.claim(0, 0, holder('a'));
    const progress = (worker: string, attempt: number, steps: number, now: number) =>
      tracker.progress(0, 0, { worker, attempt }, steps, now);
    expect([progress('a', 1, 2, 10), progress('a', 1, 2, 20), progress('a', 1, 1, 30)]).toEqual([
      true,
      false,
      false,
    ]);
    expect([progress('b', 1, 3, 40), progress('a', 2, 3, 50)]).toEqual([false, false]);
    expect(tracker.holders(0, 0)).toEqual([{ ...holder('a'), localSteps: 2, progressAt: 10 }]);
  });

  it('lets the first answer win', () => {
    const tracker = new Tracker();
    tracker.open(3, 2, 0);
    expect(tracker.finish(3, 1)).toBe(true);
    expect(tracker.finish(3, 1)).toBe(false);
    expect(tracker.isDone(3, 1)).toBe(true);
    expect(tracker.isDone(3, 0)).toBe(false);
  });

  it('tracks a part of a step, from any shard on', () => {
    const tracker = new Tracker();
    tracker.open(3, 2, 0, 10);
    expect(tracker.shards(3).map(({ shard }) => shard)).toEqual([10, 11]);
    tracker.claim(3, 11, holder('a'));
    expect(tracker.holders(3, 11)).toEqual([holder('a')]);
    expect(tracker.isDone(3, 9)).toBe(true);
    expect(tracker.finish(3, 10)).toBe(true);
    expect(tracker.finish(3, 10)).toBe(false);
    expect(tracker.finish(3, 1)).toBe(false);
  });

  it('takes everything from a worker that left, in all steps', () => {
    const tracker = new Tracker();
    tracker.open(0, 2, 0);
    tracker.open(1, 2, 0);
    tracker.claim(0, 0, holder('a'));
    tracker.claim(1, 1, holder('a'));
    tracker.claim(1, 0, holder('b'));
    tracker.releaseAll('a');
    const held = new Map<string, number>();
    tracker.countHeld(held);
    expect([...held]).toEqual([['b', 1]]);
    expect(tracker.shards(0)[0]).toMatchObject({ lost: true, holders: [] });
    expect(tracker.shards(1)[0]).toMatchObject({ lost: false });
  });

  it('calls lost what may be in no queue any more, until somebody holds it or it has an answer', () => {
    const tracker = new Tracker();
    tracker.open(4, 2, 0);
    tracker.finish(4, 1);
    for (const shard of [0, 1]) tracker.lose(4, shard);
    expect(tracker.shards(4).map(({ lost }) => lost)).toEqual([true, false]);
    tracker.lose(5, 0); // not tracked
    tracker.issue(4, 0, 1);
    expect(tracker.shards(4)[0]!.lost).toBe(false);
  });

  it('has a step computed again: what was answered or is held, not what is still in the queue', () => {
    const tracker = new Tracker();
    tracker.open(3, 3, 0);
    tracker.claim(3, 0, { worker: 'a', attempt: 1, claimedAt: 1 });
    tracker.finish(3, 0);
    tracker.claim(3, 1, { worker: 'b', attempt: 1, claimedAt: 1 });
    tracker.redo(3);
    expect(tracker.shards(3).map(({ done, lost, holders }) => [done, lost, holders.length])).toEqual([
      [false, true, 0],
      [false, true, 0],
      [false, false, 0],
    ]);
    expect(tracker.holds(3, 1, 'b', 1)).toBe(false);
  });

  it('numbers attempts and forgets the loss when one is handed out', () => {
    const tracker = new Tracker();
    tracker.open(0, 1, 0);
    tracker.claim(0, 0, holder('a'));
    tracker.release(0, 0, 'a', { kind: 'threw', why: 'it threw' });
    expect(tracker.issue(0, 0, 5)).toBe(2);
    expect(tracker.shards(0)[0]).toMatchObject({
      lost: false,
      issuedAt: 5,
      failures: [{ worker: 'a', why: 'it threw', kind: 'threw' }],
    });
  });

  it('ignores what is said of steps that are closed or shards that never were', () => {
    const tracker = new Tracker();
    tracker.open(0, 1, 0);
    tracker.close(0);
    tracker.claim(0, 0, holder('a'));
    tracker.release(9, 9, 'a');
    expect(tracker.finish(0, 0)).toBe(false);
    expect(tracker.isDone(0, 0)).toBe(true);
    expect(tracker.steps()).toEqual([]);
  });
});
