/** The board with a queue that only counts: what workers say of tasks is said by hand. */
import { TaskKind } from '@kasane/protocol/gen/kasane/v1/common';
import { TaskFailure_Reason } from '@kasane/protocol/gen/kasane/v1/training';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { TaskBoard } from '../src/jobs/board.ts';
import { defaultDecideOptions } from '../src/steps/decide.ts';
import { type ConnectedWorker, WorkerRegistry } from '../src/workers.ts';

/** A board of steps with one shard, and how often its task was handed out. */
function boardOf(names: readonly string[]) {
  const workers = new WorkerRegistry();
  for (const id of names)
    workers.add({ id, slots: 1, draining: false, seen: () => ({ heardAt: 0 }) } as ConnectedWorker);
  let handedOut = 0;
  const board = new TaskBoard({
    onWhy: () => {},
    plan: { epochOf: () => 0, range: () => ({ start: 0, end: 4 }) },
    queue: {
      add: async () => {
        handedOut++;
      },
    },
    workers,
    direct: () => false,
    decide: defaultDecideOptions,
    log: pino({ level: 'silent' }),
    gradientComplete: () => true,
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
    for (let turn = 1; turn <= 50 && !ended; turn++) {
      const worker = names[turn % names.length]!;
      // Nobody holds an attempt that was not handed out.
      const attempt = handedOut();
      const task = { job: 'j', kind: TaskKind.TASK_KIND_TRAIN, step: 0, shard: 0, attempt };
      board.claimed(worker, task);
      board.failed(worker, task, { task, reason: TaskFailure_Reason.REASON_BATCH_DAMAGED, message });
      board.check();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await outcome).toMatch(/shard 0 failed \d times.*the batch of step 0 shard 0: frame is damaged/);
    // It was staged anew before.
    expect(handedOut()).toBeGreaterThan(1);
    expect(handedOut()).toBeLessThan(10);
  },
);

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
