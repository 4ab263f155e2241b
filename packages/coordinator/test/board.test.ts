/** The board with a queue that only counts: what workers say of tasks is said by hand. */
import { setTimeout as sleep } from 'node:timers/promises';
import { TaskKind } from '@kasane/protocol/gen/kasane/v1/common';
import { TaskFailure_Reason, type TaskResult } from '@kasane/protocol/gen/kasane/v1/training';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { TaskBoard } from '../src/run/board.ts';
import { Refusals } from '../src/run/refusals.ts';
import { WorkerLines } from '../src/run/worker-lines.ts';
import { defaultDecideOptions } from '../src/steps/decide.ts';
import { type ConnectedWorker, WorkerRegistry } from '../src/workers.ts';

const heard = {
  shares: {
    ...{ idle: new Set<string>(), isTrying: false, isSuspect: () => false, isResting: () => false },
    ...{ waitedFor: () => {}, answered: () => {} },
  },
  isSending: () => false,
  onUnfit: () => {},
  onReissue: () => {},
};

function boardOver(workers: WorkerRegistry, plan: object, refusals = new Refusals(workers)): TaskBoard {
  return new TaskBoard({
    ...{ onWhy: () => {}, plan, queue: { add: async () => {} }, workers, refusals, direct: () => false },
    ...{
      ...heard,
      decide: defaultDecideOptions,
      log: pino({ level: 'silent' }),
      lines: new WorkerLines(pino({ level: 'silent' })),
      gradientArrived: () => 'whole',
    },
  } as unknown as ConstructorParameters<typeof TaskBoard>[0]);
}

/** A board of steps with one shard, and how often its task was handed out. */
function boardOf(names: readonly string[], log = pino({ level: 'silent' }), more: object = {}) {
  const workers = new WorkerRegistry();
  for (const id of names)
    workers.add({ id, slots: 1, draining: false, seen: () => ({ heardAt: 0 }) } as ConnectedWorker);
  let handedOut = 0;
  const board = new TaskBoard({
    onWhy: () => {},
    plan: {
      epochOf: () => 0,
      samplesOf: () => 4,
      shardsOf: () => undefined,
      range: () => ({ start: 0, end: 4 }),
    },
    queue: {
      add: async () => {
        handedOut++;
      },
    },
    workers,
    direct: () => false,
    decide: defaultDecideOptions,
    log,
    lines: new WorkerLines(log),
    ...heard,
    gradientArrived: () => 'whole',
    refusals: new Refusals(workers),
    ...more,
  } as unknown as ConstructorParameters<typeof TaskBoard>[0]);
  board.handOut('ahead', 'train', [{ step: 0, shards: 1 }]);
  board.begin(0);
  return { board, handedOut: () => handedOut };
}

it.each([[['a']], [['a', 'b', 'c', 'd']]])(
  'a batch that comes damaged at %j again and again ends the job',
  async (names) => {
    const { board, handedOut } = boardOf(names);
    const outcome = board.settled('train', 0).catch((error: Error) => error.message);
    const message = 'the batch of step 0 shard 0: frame is damaged';
    let ended = false;
    void outcome.then(() => (ended = true));
    for (let turn = 1; !ended; turn++) {
      const worker = names[turn % names.length]!;
      // Nobody holds an attempt that was not handed out.
      const attempt = handedOut();
      const task = { job: 'j', kind: TaskKind.TASK_KIND_TRAIN, step: 0, shard: 0, attempt };
      board.claimed(worker, task);
      board.failed(worker, task, { task, reason: TaskFailure_Reason.REASON_BATCH_DAMAGED, message });
      // What comes back again and again is handed out ever more slowly.
      await sleep(10);
      board.check();
    }
    expect(await outcome).toMatch(/task 0 failed \d+ times.*the batch of step 0 shard 0: frame is damaged/);
    // It was staged anew before.
    expect(handedOut()).toBeGreaterThan(1);
    expect(handedOut()).toBeLessThan(20);
  },
);

it('says nothing of answers that come after it was stopped', () => {
  const said: string[] = [];
  const { board } = boardOf(['a'], pino({ level: 'info' }, { write: (line) => said.push(line) }));
  const task = { job: 'j', kind: TaskKind.TASK_KIND_TRAIN, step: 0, shard: 0, attempt: 1 };
  const result = { samples: 4 } as TaskResult;
  expect(board.answered('a', task, result)).toBe(false);
  expect(said).toHaveLength(1);
  board.stop(new Error('suspended'));
  expect(board.answered('a', task, result)).toBe(false);
  expect(said).toHaveLength(1);
});

it('counts rounds that go on as progress, as often as they have steps', () => {
  const plan = {
    epochOf: () => 0,
    samplesOf: () => 4,
    shardsOf: () => undefined,
    range: () => ({ start: 0, end: 4 }),
    every: 3,
  };
  const { board } = boardOf(['a', 'b'], undefined, { plan });
  const task = { job: 'j', kind: TaskKind.TASK_KIND_TRAIN, step: 0, shard: 0, attempt: 1 };
  const reached = () => board.reached.answers;
  board.progressed('a', task, 1);
  expect(reached()).toBe(0);
  board.claimed('a', task);
  for (const steps of [1, 1, 3, 2, 4, 1e9]) board.progressed('a', task, steps);
  board.progressed('b', task, 2);
  board.progressed('a', { ...task, step: 1 }, 2);
  expect(reached()).toBe(2);
  board.begin(1);
  expect(reached()).toBe(0);
});

it('one that is damaged once is staged anew, and nothing else', async () => {
  const { board, handedOut } = boardOf(['a', 'b']);
  let ended = false;
  const end = () => (ended = true);
  board.settled('train', 0).then(end, end);
  const task = { job: 'j', kind: TaskKind.TASK_KIND_TRAIN, step: 0, shard: 0, attempt: 1 };
  board.claimed('a', task);
  board.failed('a', task, { task, reason: TaskFailure_Reason.REASON_BATCH_DAMAGED, message: 'damaged' });
  await new Promise((resolve) => setImmediate(resolve));
  expect([handedOut(), ended]).toEqual([2, false]);
});

it('a test that fails on every worker ends the job, though training has fewer shards', async () => {
  const workers = new WorkerRegistry();
  for (const id of ['a', 'b', 'c'])
    workers.add({ id, slots: 1, draining: false, seen: () => ({ heardAt: 0 }) } as ConnectedWorker);
  const board = boardOver(workers, {
    epochOf: () => 0,
    samplesOf: () => 4,
    shardsOf: () => undefined,
    // As the plan has it: a shard that training does not have is an error.
    range: ({ kind, shard }: { kind: string; shard: number }) => {
      if (kind === 'train' && shard > 0) throw new Error(`no ${kind} shard ${shard}`);
      return { start: 0, end: 4 };
    },
  });
  board.handOut('now', 'evaluate', [{ step: 0, shards: 3 }]);
  const outcome = board.settled('evaluate', 0).catch((error: Error) => error.message);
  for (const [index, worker] of ['a', 'b', 'c'].entries()) {
    const task = { job: 'j', kind: TaskKind.TASK_KIND_EVALUATE, step: 0, shard: 2, attempt: index + 1 };
    board.claimed(worker, task);
    board.failed(worker, task, { task, reason: TaskFailure_Reason.REASON_COMPUTE, message: 'it threw' });
  }
  expect(await outcome).toContain('task 2 failed 3 times, on 3 workers: it threw (a, b, c)');
});

it('a job that no worker can compute fails with their words, and goes on while one can', async () => {
  const workers = new WorkerRegistry();
  for (const id of ['a', 'b'])
    workers.add({ id, slots: 1, draining: false, seen: () => ({ heardAt: 0 }) } as ConnectedWorker);
  const refusals = new Refusals(workers);
  const board = boardOver(
    workers,
    { epochOf: () => 0, samplesOf: () => 4, shardsOf: () => undefined, range: () => ({ start: 0, end: 4 }) },
    refusals,
  );
  board.handOut('now', 'train', [{ step: 0, shards: 1 }]);
  board.begin(0);
  const outcome = board.settled('train', 0).catch((error: Error) => error.message);
  refusals.add('a', 'too large for 4 GiB');
  board.check();
  expect(board.why?.code).toBe('shards-waiting');
  refusals.add('b', 'no such layer here');
  board.check();
  expect(await outcome).toBe(
    'step 1: no worker can compute the job: too large for 4 GiB (a); no such layer here (b)',
  );
});

it('what a worker held that rests for being late is handed out once', async () => {
  const resting = new Set<string>();
  const { board, handedOut } = boardOf(['a', 'b'], undefined, {
    decide: { ...defaultDecideOptions, lateMs: 5, lateFactor: 1 },
    shares: {
      ...heard.shares,
      isResting: (worker: string) => resting.has(worker),
      waitedFor: (workers: readonly string[]) => {
        for (const worker of workers) {
          resting.add(worker);
          board.rests(worker);
        }
      },
    },
  });
  void board.settled('train', 0).catch(() => {});
  const task = { job: 'j', kind: TaskKind.TASK_KIND_TRAIN, step: 0, shard: 0, attempt: 1 };
  board.claimed('a', task);
  await sleep(20);
  board.check();
  board.check();
  expect([[...resting], handedOut()]).toEqual([['a'], 2]);
  // What it had fetched besides is not held by it.
  board.claimed('a', { ...task, attempt: 2 });
  expect(board.holds('a', { ...task, attempt: 2 })).toBe(false);
  board.stop(new Error('over'));
});
