/** Steps whose gradients the workers add themselves: what is sent again when one of them goes, or sends what is no number. */
import { bytesOf, decodeFrame } from '@kasane/protocol/internal/wire/frame';
import { PartLayout } from '@kasane/protocol/internal/wire/parts';
import { checkJob } from '@kasane/protocol/job';
import { afterEach, expect, it, vi } from 'vitest';
import { ParameterServer } from '../src/params/parameter-server.ts';
import { PeerMesh } from '../src/peers/mesh.ts';
import { RelayedChunks } from '../src/peers/relayed-chunks.ts';
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

const clipped = checkJob({ ...job.spec, training: { ...job.spec.training, clipNorm: 1 } });

/** A worker, what it was told of owners, and how many versions, and which chunks, the coordinator sent it. @param own rate of its link */
function workerOf(id: string, index: number, own: number) {
  const told: Parameters<ConnectedWorker['send']>[0][] = [];
  const passed: string[] = [];
  let versions = 0;
  const worker = {
    ...{ id, address: `10.0.0.${index + 1}`, draining: false, resting: new Map(), routes: new Map() },
    send: (message) => told.push(message),
    publish: () => {
      versions++;
    },
    publishMore: () => {},
    probe: (onRate) => onRate(own),
    relayPaced: async (frame) => {
      const { header } = decodeFrame(frame);
      passed.push(`${header.kind} ${'offset' in header ? header.offset : ''}`);
    },
  } as Partial<ConnectedWorker> as ConnectedWorker;
  return { worker, told, passed, versions: () => versions };
}

afterEach(() => {
  vi.useRealTimers();
});

/**
 * A run of four workers that own parts, whose first step is under way; `lossSum` is what both of its shards answer.
 * @param reach they reach one another; otherwise they have not said so yet, and the step has not begun
 * @param rates of links between workers, and of those to the coordinator, in bytes a second
 */
async function opened(reach = true, { rate = 1e8, own = 1e8, what = job } = {}) {
  const parameters = await ParameterServer.open(what, { total: 100, shardsOf: () => 2 });
  await parameters.reset(new Float32Array(job.model.parameterCount).fill(0.1));
  parameters.begin(0);
  const workers = ['a', 'b', 'c', 'd'].map((id, index) => workerOf(id, index, own));
  const mesh = new PeerMesh();
  mesh.want(workers.map(({ worker }) => worker));
  const meet = () => {
    for (const [index, { worker }] of workers.entries()) mesh.opened(worker, `10.0.0.${index + 1}:4000`, '');
    for (const pair of ['ab', 'ac', 'ad', 'bc', 'bd', 'cd']) mesh.reached(pair[0]!, pair[1]!, true, rate, '');
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
    ...{ id: 'j', job: what, parameters, board, mesh, mode: 'workers', shardsOf: () => 2 },
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
  const joins = (id: string) => taking.push(workerOf(id, 9, own).worker);
  const versions = () => workers.map((one) => one.versions());
  const passed = () => workers.map((one) => one.passed);
  return { sync, meet, sum, step, joins, leaves, versions, passed, said, redone, reasons };
}

it('owners send versions to one another, the first one too', async () => {
  const { sync, step, versions } = await opened();
  expect(versions()).toEqual([0, 0, 0, 0]);
  await step();
  await step();
  expect(versions()).toEqual([0, 0, 0, 0]);
  sync.close();
});

it('sends owners part of each version itself where links are slow', async () => {
  const { sync, step, joins, leaves, versions, passed, redone } = await opened(true, { rate: 1e7, own: 8e6 });
  await step();
  await step();
  // Of five chunks the first and the fourth, to those who do not own them.
  const [first, fourth] = ['partParameters 0', 'partParameters 3072'];
  expect(passed().map((list) => list.toSorted())).toEqual([
    [fourth, fourth],
    [first, first, fourth, fourth],
    [first, first, fourth, fourth],
    [first, first],
  ]);
  expect(versions()).toEqual([0, 0, 0, 0]);
  leaves('d');
  expect(redone).toEqual([false]);
  for (const list of passed()) list.length = 0;
  await step();
  // Of three owners' every second one.
  expect(passed().map(({ length }) => length)).toEqual([2, 2, 2, 0]);
  // Its link has more to carry once it sends a worker whole versions.
  joins('e');
  leaves('c');
  await step();
  expect(passed().map(({ length }) => length)).toEqual([2, 2, 2, 0]);
  sync.close();
});

it.each([
  ['links are fast', { rate: 1e8, own: 1e8 }],
  ['its own are slower', { rate: 1e7, own: 6e6 }],
  ['gradients are clipped', { rate: 1e7, own: 1e7, what: clipped }],
])('leaves that to owners where %s', async (_, rates) => {
  const { sync, step, passed } = await opened(true, rates);
  await step();
  expect(passed().flat()).toEqual([]);
  sync.close();
});

it('leaves it to owners where it has no memory for its copy', async () => {
  const open = vi.spyOn(RelayedChunks.prototype, 'open').mockRejectedValueOnce(new Error('no memory'));
  const { sync, step, versions, passed, redone, reasons } = await opened(true, { rate: 1e7, own: 1e7 });
  await expect.poll(() => redone).toEqual([false]);
  expect(reasons).toEqual(['exchange-workers', 'copy-failed', 'exchange-workers']);
  // Of the first version, each may have been sent a part by the others.
  expect(versions()).toEqual([1, 1, 1, 1]);
  await step();
  expect(passed().flat()).toEqual([]);
  sync.close();
  open.mockRestore();
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
