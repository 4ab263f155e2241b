/** A job that stands still: others go on, and it fails in the end. One that waits for somebody else does not stand still. */
import { describe, expect, it } from 'vitest';
import { Turns } from '../src/jobs/turns.ts';
import { type Seen, Standstill } from '../src/run/standstill.ts';
import { watch } from '../src/steps/watch.ts';

const options = { yieldMs: 30_000, failMs: 60_000 };
const state = { workers: 2 };

describe('watch', () => {
  it.each([
    [0, 0, 'go on'],
    [29_999, 29_999, 'go on'],
    [30_000, 30_000, 'yield'],
    [59_999, 59_999, 'yield'],
    [60_000, 60_000, 'fail'],
    // Another try after earlier ones that came no further: its turn is its own for half a minute.
    [0, 59_000, 'go on'],
    [1_000, 60_000, 'fail'],
  ])('%i ms in this run, %i in all: %s', (stillMs, allMs, action) => {
    expect(watch({ ...state, stillMs, allMs }, options).action).toBe(action);
  });

  it('says for how long, and who could answer', () => {
    expect(watch({ ...state, stillMs: 60_000, allMs: 60_000 }, options)).toEqual({
      action: 'fail',
      why: { code: 'standstill', args: { seconds: 60, workers: 2 } },
    });
  });

  it('a limit below half a minute holds', () => {
    expect(watch({ ...state, stillMs: 5_000, allMs: 5_000 }, { ...options, failMs: 5_000 }).action).toBe(
      'fail',
    );
  });
});

describe('a standstill', () => {
  /** A job that is looked at twice a second. */
  class Watch {
    readonly standstill: Standstill;
    now = 1e6;
    constructor(failSeconds: number) {
      this.standstill = new Standstill(failSeconds);
      this.standstill.begin();
    }
    /** What was said last, and what changed, after so many seconds in which nothing else happens. */
    pass(seconds: number, rest: Partial<Seen> = {}) {
      const seen = {
        reached: { step: 1, answers: 0 },
        able: true,
        workers: 1,
        ...rest,
      };
      let said = this.standstill.look(this.now, seen);
      let changes = said.changed ? 1 : 0;
      for (const end = this.now + 1000 * seconds; this.now < end; ) {
        this.now += 500;
        said = this.standstill.look(this.now, seen);
        if (said.changed) changes++;
      }
      return { action: said.watched.action, changes };
    }
  }
  const answered = (answers: number, step = 1) => ({ reached: { step, answers } });

  it('begins, ends with an answer, and begins again', () => {
    const job = new Watch(3_600);
    expect(job.pass(29)).toEqual({ action: 'go on', changes: 0 });
    expect(job.pass(1)).toEqual({ action: 'yield', changes: 1 });
    expect(job.pass(1)).toEqual({ action: 'yield', changes: 0 });
    expect(job.pass(1, answered(1))).toEqual({ action: 'go on', changes: 1 });
    expect(job.pass(30, answered(1)).action).toBe('yield');
    expect(job.pass(1, answered(1, 2)).action).toBe('go on');
  });

  it.each([{ workers: 0 }, { able: false }])('none while %j; the time before counts afterwards', (rest) => {
    const job = new Watch(60);
    expect(job.pass(1e4, rest).action).toBe('go on');
    expect(job.pass(20).action).toBe('go on');
    expect(job.pass(1e4, rest).action).toBe('go on');
    expect(job.pass(39).action).toBe('yield');
    expect(job.pass(2).action).toBe('fail');
  });

  it('ends in failure however often others push the job out of its place', () => {
    const job = new Watch(120);
    for (const seconds of [25, 40, 30]) {
      expect(job.pass(seconds).action).not.toBe('fail');
      job.pass(5, { able: false });
      job.standstill.begin();
    }
    expect(job.pass(20).action).toBe('go on');
    expect(job.pass(6).action).toBe('fail');
  });

  it('what is computed again in another run is no progress, but the time of it does not count either', () => {
    const job = new Watch(60);
    expect(job.pass(25, answered(2)).action).toBe('go on');
    job.standstill.begin();
    for (const answers of [1, 2]) expect(job.pass(20, answered(answers)).action).toBe('go on');
    job.standstill.begin();
    job.pass(1, answered(2));
    expect(job.pass(16, answered(2)).action).toBe('fail');
  });

  it('an answer to what no run had reached begins anew', () => {
    const job = new Watch(60);
    job.pass(50, answered(2));
    job.standstill.begin();
    expect(job.pass(55, answered(3)).action).toBe('yield');
    job.standstill.begin();
    expect(job.pass(4, answered(1)).action).toBe('go on');
    expect(job.pass(4, answered(1)).action).toBe('fail');
    const other = new Watch(60);
    other.pass(50, answered(2));
    other.standstill.begin();
    expect(other.pass(55, answered(1, 2)).action).toBe('yield');
  });

  it('a process that was stopped itself does not count that time', () => {
    const job = new Watch(60);
    job.pass(10);
    job.now += 1e7;
    expect(job.pass(10).action).toBe('go on');
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
  expect(b.why).toEqual({ code: 'turns', args: { jobs: ['a'] } });
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
