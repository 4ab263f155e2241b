/** A slot is a real thread: what it computes is compared with the reference backend. */
import { setTimeout } from 'node:timers/promises';
import { runReference } from '@kasane/tensor/backends/reference/run';
import { addAlongTree } from '@kasane/tensor/internal/ops/shard-tree';
import { buildModel, initializeParameters, type ModelDescription } from '@kasane/tensor/nn/model';
import { keyOfSeed } from '@kasane/tensor/random';
import { traceProgram } from '@kasane/tensor/training';
import type { OpenedJob } from '@kasane/worker/internal/job/opened-job';
import { SlotSessions } from '@kasane/worker/internal/job/slot-sessions';
import { shardSum } from '@kasane/worker/internal/slots/gradient-sums';
import {
  Abandoned,
  GivenUp,
  type GradientUse,
  type Piece,
  Slot,
  type SlotInputs,
} from '@kasane/worker/internal/slots/slot';
import { SlotPool } from '@kasane/worker/internal/slots/slot-pool';
import { pino } from 'pino';
import { afterAll, describe, expect, it } from 'vitest';
import { runPiece } from './support/run-piece.ts';

const description: ModelDescription = {
  input: [6],
  classes: 3,
  layers: [
    { type: 'dense', units: 8 },
    { type: 'relu' },
    { type: 'dropout', rate: 0.5 },
    { type: 'dense', units: 3 },
  ],
};
const model = buildModel(description);
const weights = initializeParameters(model, 1);
const samples = 5;
const inputs: SlotInputs = {
  x: Float32Array.from({ length: 6 * samples }, (_, index) => Math.sin(index)),
  target: Int32Array.of(0, 1, 2, 1, 0),
  ids: Uint32Array.of(10, 11, 12, 13, 70_000),
  key: Uint32Array.of(...keyOfSeed(1), 2, 0),
};
/** Takes minutes, in one stage: products of constants. */
const endless: ModelDescription = {
  input: [1],
  classes: 3,
  layers: [{ type: 'endless' }, { type: 'dense', units: 3 }] as unknown as ModelDescription['layers'],
  definitions: {
    endless: {
      version: 1,
      inputs: [[1]],
      nodes: [
        ['constant', { value: 0.001, shape: [4096, 4096] }],
        ...Array.from({ length: 20 }, (_, index) => ['matmul', index + 1, 1] as const),
        ['sum', 21, { axes: [0, 1], keepDims: true }],
        ['mul', 0, 22],
      ],
      output: 23,
    },
  },
};
const slots: Slot[] = [];
const newSlot = () => {
  const slot = new Slot(
    () => {},
    () => {},
  );
  slots.push(slot);
  return slot;
};
afterAll(() => Promise.all(slots.map((slot) => slot.end())));

describe('a slot', { timeout: 30_000 }, () => {
  it('computes loss, hits and gradients as the reference does, twice the same', async () => {
    const slot = newSlot();
    const request = { mode: 'train', samples } as const;
    const session = await slot.open(description, [request, { mode: 'evaluate', samples }], 'exact');
    slot.parameters(session).set(weights);
    const ready: number[] = [];
    const outcome = await runPiece(slot, session, request, inputs, (indices) => ready.push(...indices));
    const gradients = slot.gradients(session).slice();
    expect([...ready].sort()).toEqual(model.parameters.map((_, index) => index));

    const { x, target, ids: sampleIds, key } = inputs;
    const expected = runReference(
      traceProgram(model, request),
      { x, labels: target, sampleIds, key },
      weights,
    );
    expect(outcome.lossSum).toBeCloseTo(expected.lossSum!, 5);
    expect(outcome.metricSum).toBe(expected.metricSum);
    for (const [index, { offset, size }] of model.parameters.entries())
      for (let i = 0; i < size; i++)
        expect(gradients[offset + i]).toBeCloseTo(expected.gradients![index]![i]!, 5);

    await runPiece(slot, session, { mode: 'evaluate', samples }, inputs, () => {});
    await runPiece(slot, session, request, inputs, () => {});
    expect(slot.gradients(session)).toEqual(gradients);
  });

  it('adds up the gradients of a task that is computed in parts, also after one that was given up', async () => {
    const slot = newSlot();
    const [two, one] = [2, 1].map((count) => ({ mode: 'train', samples: count }) as const);
    const session = await slot.open(description, [two!, one!], 'exact');
    slot.parameters(session).set(weights);
    const part = (start: number, end: number): SlotInputs => ({
      x: inputs.x.subarray(6 * start, 6 * end),
      target: inputs.target.subarray(start, end),
      ids: inputs.ids.subarray(start, end),
      key: inputs.key,
    });
    const parts = [part(0, 2), part(2, 4), part(4, 5)] as const;
    const run = async (index: number, use?: GradientUse) => {
      const ready: number[] = [];
      await runPiece(slot, session, index < 2 ? two! : one!, parts[index]!, (some) => ready.push(...some), {
        ...(use && { use }),
      });
      return { gradients: slot.gradients(session).slice(), ready };
    };
    const [first, second, third] = [await run(0), await run(1), await run(2)].map((r) => r.gradients);
    const wanted = first!.map((value, i) => Math.fround(value + second![i]!) + third![i]!);
    // A task that came to nothing after its first part leaves nothing behind.
    for (const given of [1, 0]) {
      await run(given, 'first');
    }
    await run(1, 'more');
    const last = await run(2, 'last');
    expect(last.gradients).toEqual(wanted);
    expect([...last.ready].sort()).toEqual(model.parameters.map((_, index) => index));
  });

  describe('of several threads', () => {
    const wide: ModelDescription = {
      input: [400],
      classes: 3,
      layers: [{ type: 'dense', units: 300 }, { type: 'relu' }, { type: 'dense', units: 3 }],
    };
    const request = { mode: 'train', samples: 40 } as const;
    const given: SlotInputs = {
      x: Float32Array.from({ length: 400 * 40 }, (_, index) => Math.sin(index)),
      target: Int32Array.from({ length: 40 }, (_, index) => index % 3),
      ids: Uint32Array.from({ length: 40 }, (_, index) => index),
      key: inputs.key,
    };
    const deaths: string[] = [];
    const opened = async (threads: number) => {
      const slot = new Slot(
        ({ message }) => deaths.push(message),
        () => {},
        { threads },
      );
      slots.push(slot);
      const session = await slot.open(wide, [request], 'exact');
      slot.parameters(session).set(initializeParameters(buildModel(wide), 1));
      return { slot, session };
    };

    it('gives the bits of one, and says how many there are', async () => {
      const found = [];
      for (const threads of [1, 2, 3]) {
        const { slot, session } = await opened(threads);
        expect(slot.kernel.includes(`, ${threads} threads`)).toBe(threads > 1);
        await runPiece(slot, session, request, given, () => {});
        found.push(slot.gradients(session).slice());
        slot.close(session);
        // A session after another one, in the same threads.
        const next = await slot.open(wide, [request], 'exact');
        slot.parameters(next).set(initializeParameters(buildModel(wide), 1));
        await runPiece(slot, next, request, given, () => {});
        found.push(slot.gradients(next).slice());
      }
      for (const gradients of found) expect(gradients).toEqual(found[0]);
    });

    it('dies with one of them, and says so', async () => {
      const { slot, session } = await opened(2);
      await runPiece(slot, session, request, given, () => {});
      const code = await slot.helpers[0]!.terminate();
      const message = `a helper of the compute thread ended with code ${code}`;
      await expect(runPiece(slot, session, request, given, () => {})).rejects.toThrow(message);
      expect(deaths).toEqual([message]);
    });
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'adds %i shards of a task along their tree, each in parts or at once',
    async (count) => {
      const slot = newSlot();
      const [two, one] = [2, 1].map((count) => ({ mode: 'train', samples: count }) as const);
      const session = await slot.open(description, [two!, one!], 'exact');
      slot.parameters(session).set(weights);
      const samplesOf = (seed: number, many: number): SlotInputs => ({
        x: Float32Array.from({ length: 6 * many }, (_, index) => Math.sin(index + 17 * seed)),
        target: Int32Array.from({ length: many }, (_, index) => (seed + index) % 3),
        ids: Uint32Array.from({ length: many }, (_, index) => 10 * seed + index),
        key: inputs.key,
      });
      // Of two parts each second one: two samples, and one.
      const shards = Array.from(
        { length: count },
        (_, index) => [samplesOf(2 * index, 2), ...(index % 2 ? [samplesOf(2 * index + 1, 1)] : [])] as const,
      );
      const requestOf = (part: SlotInputs) => (part.ids.length === 2 ? two! : one!);
      const gradientOf = async (part: SlotInputs) => {
        await runPiece(slot, session, requestOf(part), part);
        return slot.gradients(session).slice();
      };
      const leaves: Float32Array[] = [];
      for (const [first, second] of shards) {
        const gradient = await gradientOf(first);
        const other = second && (await gradientOf(second));
        leaves.push(other ? gradient.map((value, i) => value + other[i]!) : gradient);
      }
      const wanted = addAlongTree(leaves, (left, right) => left.map((value, i) => value + right[i]!));

      const all = shards.flat();
      const task: SlotInputs = {
        x: Float32Array.from(all.flatMap(({ x }) => [...x])),
        target: Int32Array.from(all.flatMap(({ target }) => [...target])),
        ids: Uint32Array.from(all.flatMap(({ ids }) => [...ids])),
        key: inputs.key,
      };
      let start = 0;
      const pieces = shards.flatMap(([, second], index): Piece[] => {
        const shard = shardSum(index, count);
        const at = start;
        start += second ? 3 : 2;
        if (!second) return [{ request: two!, start: at, shard }];
        return [
          { request: two!, start: at, use: 'first', shard },
          { request: one!, start: at + 2, use: 'last', shard },
        ];
      });
      const losses = [];
      for (const part of all) losses.push((await runPiece(slot, session, requestOf(part), part)).lossSum);
      // A task that came to nothing before its last shard leaves nothing behind.
      for (const some of [pieces.slice(0, -1), pieces]) {
        if (some.length === 0) continue;
        const ready: number[] = [];
        const outcome = await slot.run(session, some, task, (indices) => ready.push(...indices));
        expect(outcome.pieces.map(({ lossSum }) => lossSum)).toEqual(losses.slice(0, some.length));
        expect([...ready].sort()).toEqual(model.parameters.map((_, index) => index));
      }
      expect(slot.gradients(session)).toEqual(wanted);
    },
  );

  describe('while parameters arrive', () => {
    const wide: ModelDescription = {
      input: [400],
      classes: 3,
      layers: [
        { type: 'dense', units: 300 },
        { type: 'relu' },
        { type: 'dense', units: 300 },
        { type: 'relu' },
        { type: 'dense', units: 3 },
      ],
    };
    const values = initializeParameters(buildModel(wide), 1);
    const some = 400 * 300 + 300 + 20_000;
    const request = { mode: 'train', samples } as const;
    const given = {
      ...inputs,
      x: Float32Array.from({ length: 400 * samples }, (_, index) => Math.sin(index)),
    };
    /** A session that has the first layer and part of the second; what comes later would be NaN. */
    const begin = async () => {
      const slot = newSlot();
      const session = await slot.open(wide, [request], 'exact');
      slot.parameters(session).set(values);
      await runPiece(slot, session, request, given, () => {});
      const wanted = slot.gradients(session).slice();
      slot.parameters(session).fill(Number.NaN, some);
      slot.gradients(session).fill(0);
      const ready: number[] = [];
      const running = runPiece(slot, session, request, given, (indices) => ready.push(...indices), {
        arrival: { version: 3, floats: some },
      });
      return { slot, session, running, wanted, ready };
    };

    it('begins with those that are there, and waits for the others where it needs them', async () => {
      const { slot, session, running, wanted, ready } = await begin();
      await setTimeout(100);
      slot.arrived(session, { version: 3, floats: some + 1 });
      await setTimeout(100);
      expect(ready).toEqual([]);
      slot.parameters(session).set(values);
      slot.arrived(session, { version: 3, floats: values.length });
      const { computeMs } = await running;
      expect(computeMs).toBeLessThan(100);
      expect(slot.gradients(session)).toEqual(wanted);
    });

    it('gives up when another version begins, or nobody waits any more, and computes the next', async () => {
      const { slot, session, running, wanted } = await begin();
      const gone = expect(running).rejects.toThrow(Abandoned);
      slot.arrived(session, { version: 4, floats: 0 });
      await gone;
      const arrival = { version: 4, floats: some };
      const second = runPiece(slot, session, request, given, () => {}, { arrival });
      slot.abandon(session);
      await expect(second).rejects.toThrow(Abandoned);
      slot.parameters(session).set(values);
      await runPiece(slot, session, request, given, () => {});
      expect(slot.gradients(session)).toEqual(wanted);
    });
  });

  it('refuses a model that is none, and goes on', async () => {
    const slot = newSlot();
    const bad = { ...description, layers: [{ type: 'dence' }] } as unknown as ModelDescription;
    await expect(slot.open(bad, [{ mode: 'train', samples: 1 }], 'exact')).rejects.toThrow(/dence/);
    await expect(slot.open(description, [{ mode: 'train', samples: 1 }], 'exact')).resolves.toBeDefined();
  });

  it('says so when its thread is gone', async () => {
    const slot = newSlot();
    const request = { mode: 'train', samples } as const;
    const session = await slot.open(description, [request], 'exact');
    await slot.end();
    await expect(runPiece(slot, session, request, inputs, () => {})).rejects.toThrow(/closed/);
    await expect(slot.open(description, [request], 'exact')).rejects.toThrow(/closed/);
  });
});

describe('SlotPool', () => {
  it('lends each slot once, first come first served', async () => {
    const pool = new SlotPool(2, pino({ level: 'silent' }));
    const [a, b] = [await pool.acquire(), await pool.acquire()];
    expect(a).not.toBe(b);
    expect(pool.busy).toBe(2);
    const got: string[] = [];
    const third = pool.acquire().then((slot) => {
      got.push('third');
      return slot;
    });
    const fourth = pool.acquire().then(() => got.push('fourth'));
    pool.release(b);
    expect(await third).toBe(b);
    pool.release(a);
    await fourth;
    expect(got).toEqual(['third', 'fourth']);
    await pool.close();
  });

  it('replaces a slot that still computes for a job that is over, and not one that computes for another job', {
    timeout: 60_000,
  }, async () => {
    const pool = new SlotPool(1, pino({ level: 'silent' }));
    const first = (await pool.acquire()) as Slot;
    const request = { mode: 'train', samples } as const;
    const closed = new AbortController();
    const other = await first.open(description, [request], 'exact', {}, closed.signal);
    const long = await first.open(endless, [request], 'exact', {}, closed.signal);
    const running = runPiece(first, long, request, { ...inputs, x: new Float32Array(samples) }, () => {});
    closed.abort();
    await expect(running).rejects.toThrow(GivenUp);
    await expect(runPiece(first, other, request, inputs, () => {})).rejects.toThrow(GivenUp);
    pool.release(first);
    const second = (await pool.acquire()) as Slot;
    expect(second).not.toBe(first);
    // What is over while another job computes does not end that.
    const left = new AbortController();
    await second.open(description, [request], 'exact', {}, left.signal);
    const session = await second.open(description, [request], 'exact');
    left.abort();
    second.parameters(session).set(weights);
    await runPiece(second, session, request, inputs, () => {});
    await pool.close();
  });

  it('nobody is lent a slot for a job that is over', async () => {
    const pool = new SlotPool(1, pino({ level: 'silent' }));
    const job = { model, requests: [{ mode: 'train', samples }], math: 'exact' } as unknown as OpenedJob;
    const sessions = new SlotSessions({ job, onOpened: () => {}, onUnable: () => {} });
    sessions.close();
    await expect(sessions.of(await pool.acquire())).rejects.toThrow(Abandoned);
    await pool.close();
  });
});
