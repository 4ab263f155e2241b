import { describe, expect, it } from 'vitest';
import { Turns } from '../src/jobs/turns.ts';
import { type Sharer, shareOut } from '../src/steps/share-out.ts';

const sharer = (id: string, more: Partial<Sharer> = {}): Sharer => ({
  id,
  priority: 0,
  shards: 4,
  usedMs: 0,
  state: 'waiting',
  ...more,
});

describe('shareOut', () => {
  it('lets the highest priority go first, and says so to the others', () => {
    const { granted, why } = shareOut([sharer('low'), sharer('high', { priority: 5, usedMs: 1e6 })], 4);
    expect(granted).toEqual(['high']);
    expect(why.get('low')).toEqual({ code: 'higher-priority', args: { job: 'high', priority: 5 } });
  });

  it('among equal ones prefers who has used least, then who came first', () => {
    expect(shareOut([sharer('a', { usedMs: 10 }), sharer('b', { usedMs: 9 })], 4).granted).toEqual(['b']);
    expect(shareOut([sharer('a'), sharer('b')], 4).granted).toEqual(['a']);
  });

  it('takes nothing from a step that is being computed', () => {
    const { granted, why } = shareOut(
      [sharer('low', { state: 'computing' }), sharer('high', { priority: 5 })],
      4,
    );
    expect(granted).toEqual([]);
    expect(why.get('high')).toEqual({ code: 'turns', args: { jobs: ['low'] } });
  });

  it('gives slots that are left over to the next', () => {
    const three = [sharer('a', { priority: 2 }), sharer('b', { priority: 1 }), sharer('c')];
    expect(shareOut(three, 4).granted).toEqual(['a']);
    expect(shareOut(three, 5).granted).toEqual(['a', 'b']);
    expect(shareOut(three, 12).granted).toEqual(['a', 'b', 'c']);
  });

  it('lets somebody go on where there is no worker, to find out', () => {
    expect(shareOut([sharer('a'), sharer('b')], 0).granted).toEqual(['a']);
  });
});

describe('Turns', () => {
  it('wakes whose turn it is, without a detour when it is at once', async () => {
    const turns = new Turns(() => 2);
    const a = turns.enter('a', 2, 0);
    const b = turns.enter('b', 2, 0);
    expect(a.next(0)).toBeUndefined();
    const woken = b.next(0);
    expect(b.why).toEqual({ code: 'turns', args: { jobs: ['a'] } });
    const back = a.next(10);
    await woken;
    expect([b.why, b.state, a.state]).toEqual([undefined, 'computing', 'waiting']);
    b.leave();
    await back;
  });

  it('who comes later has no credit for the time before', () => {
    const turns = new Turns(() => 1);
    const a = turns.enter('a', 1, 0);
    a.next(0);
    a.next(500);
    const b = turns.enter('b', 1, 0);
    expect(b.usedMs).toBe(500);
    const c = turns.enter('c', 1, 3);
    expect(c.usedMs).toBe(0);
    c.priority = 0;
    expect(c.usedMs).toBe(500);
  });

  it('a wait that is stopped ends, and so do those to come', async () => {
    const turns = new Turns(() => 1);
    turns.enter('a', 1, 0).next(0);
    const b = turns.enter('b', 1, 0);
    const waiting = b.next(0);
    b.stop(new Error('over'));
    await expect(waiting).rejects.toThrow('over');
    await expect(b.next(0)).rejects.toThrow('over');
  });
});
