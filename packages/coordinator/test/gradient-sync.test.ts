/** Steps whose gradients the workers add themselves: what is sent again when one of them goes, or sends what is no number. */
import { bytesOf } from '@kasane/protocol/internal/wire/frame';
import { PartLayout } from '@kasane/protocol/internal/wire/parts';
import { checkJob } from '@kasane/protocol/job';
import { afterEach, expect, it, vi } from 'vitest';
import { ParameterServer } from '../src/params/parameter-server.ts';
import { PeerMesh } from '../src/peers/mesh.ts';
import type { Answer } from '../src/run/answers.ts';
import type { TaskBoard } from '../src/run/board.ts';
import { GradientSync } from '../src/run/gradient-sync.ts';
import type { ConnectedWorker } from '../src/workers.ts';

const job = checkJob({
  name: 'test',
  model: {
    input: [64],
    classes: 10,
    layers: [
      { type: 'dense', units: 64 },
      { type: 'dense', units: 10 },
    ],
  },
  data: { path: 'anywhere' },
  training: { epochs: 1, batch: 4, shards: 2, optimizer: { type: 'sgd' }, learningRate: 0.5 },
});

/** A worker, what it was told of owners, and which versions the coordinator sent it. */
function workerOf(id: string, index: number) {
  const told: Parameters<ConnectedWorker['send']>[0][] = [];
  let versions = 0;
  const worker = {
    ...{ id, address: `10.0.0.${index + 1}`, draining: false, resting: new Map(), routes: new Map() },
    send: (message) => told.push(message),
    publish: () => {
      versions++;
    },
    publishMore: () => {},
  } as Partial<ConnectedWorker> as ConnectedWorker;
  return { worker, told, versions: () => versions };
}

afterEach(() => {
  vi.useRealTimers();
});

/**
 * A run of four workers that own parts, whose first step is under way; `lossSum` is what both of its shards answer.
 * @param reach they reach one another; otherwise they have not said so yet, and the step has not begun
 */
async function opened(reach = true) {
  const parameters = await ParameterServer.open(job, { total: 100, shardsOf: () => 2 });
  await parameters.reset(new Float32Array(job.model.parameterCount).fill(0.1));
  parameters.begin(0);
  const workers = ['a', 'b', 'c', 'd'].map(workerOf);
  const mesh = new PeerMesh();
  mesh.want(workers.map(({ worker }) => worker));
  const meet = () => {
    for (const [index, { worker }] of workers.entries()) mesh.opened(worker, `10.0.0.${index + 1}:4000`, '');
    for (const pair of ['ab', 'ac', 'ad', 'bc', 'bd', 'cd']) mesh.reached(pair[0]!, pair[1]!, true, 1e8, '');
  };
  if (reach) meet();
  const said = { lossSum: 1 };
  const redone: boolean[] = [];
  const answer = (worker: string) =>
    ({ worker, ...said, weight: 2, counted: 2, samples: 2, metricSum: 0, computeMs: 1 }) as Answer;
  const board = {
    settled: async () => [answer('a'), answer('b')],
    begin: () => {},
    redo: (_: number, areLaterVoid: boolean) => redone.push(areLaterVoid),
    workerLeft: () => {},
  } as Partial<TaskBoard> as TaskBoard;
  let taking = workers.map(({ worker }) => worker);
  const reasons: string[] = [];
  const sync = new GradientSync({
    ...{ id: 'j', job, parameters, board, mesh, mode: 'workers', shardsOf: () => 2 },
    taking: () => taking,
    nextTurn: () => undefined,
    record: (event) => reasons.push('reason' in event && event.reason ? event.reason.code : event.code),
  });
  if (reach) sync.publish();
  /** The owners' sums of the step under way. */
  const sum = (value = 1, { ahead = 0, times = 1, of = ['a', 'b', 'c', 'd'] } = {}) => {
    const parts = workers[0]!.told.findLast((message) => message.$case === 'parts');
    if (parts?.$case !== 'parts') throw new Error('no owners');
    const { layout: number, step, chunkFloats, owners } = parts.value;
    const layout = new PartLayout({ number, step, chunkFloats, owners, floats: job.model.parameterCount });
    const at = { kind: 'partSum', job: 'j', layout: number, step: parameters.version + ahead } as const;
    for (const owner of owners.filter((one) => of.includes(one)))
      for (const { start, end } of Array.from({ length: times }, () => layout.chunksOf(owner)).flat())
        sync.partSum(owner, { ...at, offset: start }, bytesOf(new Float32Array(end - start).fill(value)));
  };
  /** Ends the step under way. */
  const step = async () => {
    sum();
    const reduced = await sync.reduce();
    expect(reduced.isDistributed).toBe(true);
    sync.update(reduced, false);
    sync.publishDistributed();
  };
  const leaves = (id: string) => {
    taking = taking.filter((worker) => worker.id !== id);
    mesh.left(id);
    sync.left(id);
  };
  const versions = () => workers.map((one) => one.versions());
  return { sync, meet, sum, step, leaves, versions, said, redone, reasons };
}

it('owners send versions to one another, the first one too', async () => {
  const { sync, step, versions } = await opened();
  expect(versions()).toEqual([0, 0, 0, 0]);
  await step();
  await step();
  expect(versions()).toEqual([0, 0, 0, 0]);
  sync.close();
});

it('waits with the first version until it is known who reaches whom', async () => {
  const { sync, meet, step, versions, reasons } = await opened(false);
  let met = false;
  const meeting = sync.meet().then(() => {
    met = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(met).toBe(false);
  meet();
  await meeting;
  sync.publish();
  expect(reasons).toEqual(['exchange-workers']);
  await step();
  expect(versions()).toEqual([0, 0, 0, 0]);
  sync.close();
});

it('waits no longer with a run that is stopped', async () => {
  const { sync } = await opened(false);
  const meeting = sync.meet();
  sync.stop(new Error('stopped'));
  await meeting;
  sync.close();
});

it.each([
  [0, 2_100],
  // The gradients have taken 20 s to come.
  [20_000, 5_000],
])('gives up the sums of some owners after a time that fits the step', async (took, late) => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const { sync, sum, reasons } = await opened();
  vi.advanceTimersByTime(took);
  const reducing = sync.reduce();
  await new Promise((resolve) => setTimeout(resolve, 20));
  sum(1, { of: ['a', 'b'] });
  sync.tick(performance.now() + late);
  expect(reasons.includes('sums-late')).toBe(took === 0);
  sync.tick(performance.now() + 12_000);
  expect(reasons).toContain('sums-late');
  sync.stop(new Error('stopped'));
  await expect(reducing).rejects.toThrow();
  sync.close();
});

it('takes early sums of each owner, however often another repeats its own', async () => {
  const { sync, sum, step, reasons } = await opened();
  sum(1, { ahead: 1, times: 100 });
  await step();
  const reduced = await sync.reduce();
  expect(reduced.isDistributed).toBe(true);
  expect(reasons).not.toContain('sums-late');
  sync.close();
});

it('sends a version again of which an owner that has gone may have sent only part', async () => {
  const { sync, step, leaves, versions, redone, reasons } = await opened();
  await step();
  leaves('c');
  expect(reasons).toContain('owner-left');
  expect(versions().slice(0, 2)).toEqual([1, 1]);
  // What others compute of the steps after it is as good as before.
  expect(redone).toEqual([false]);
  await step();
  expect(versions().slice(0, 2)).toEqual([1, 1]);
  sync.close();
});

it('sends the first one whole where an owner goes that was to pass it on, and not again where it came from here', async () => {
  const { sync, leaves, versions, redone } = await opened();
  leaves('c');
  expect(versions().slice(0, 2)).toEqual([1, 1]);
  leaves('d');
  expect(redone).toEqual([false, false]);
  expect(versions().slice(0, 2)).toEqual([1, 1]);
  sync.close();
});

it('sends one again where losses are no numbers, and does without owners', async () => {
  const { sync, step, versions, said, reasons } = await opened();
  await step();
  said.lossSum = Number.NaN;
  const reducing = sync.reduce();
  await expect.poll(() => reasons).toContain('sums-not-finite');
  expect(versions()).toEqual([1, 1, 1, 1]);
  expect(sync.runsAhead(1)).toBe(false);
  // It goes on through the coordinator, where no shard has come here.
  await expect(reducing).rejects.toThrow();
  sync.publish();
  expect(sync.runsAhead(1)).toBe(false);
  sync.close();
});
