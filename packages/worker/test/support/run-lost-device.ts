/** A program for a process of its own: runs a model on a pool whose device is lost on the way; prints what it saw, as JSON. */
import { buildModel, initializeParameters, type ModelDescription } from '@kasane/tensor/nn/model';
import type { Slot } from '@kasane/worker/internal/slots/slot';
import { SlotPool } from '@kasane/worker/internal/slots/slot-pool';
import { pino } from 'pino';
import { runPiece } from './run-piece.ts';

const description: ModelDescription = { input: [3], classes: 2, layers: [{ type: 'dense', units: 2 }] };
const weights = initializeParameters(buildModel(description), 1);
const request = { mode: 'train', samples: 1 } as const;
const errors: string[] = [];
const log = pino(
  { level: 'error' },
  { write: (line: string) => errors.push((JSON.parse(line) as { msg: string }).msg) },
);
const pool = new SlotPool(1, log, { backend: 'webgpu' });

async function compute(slot: Slot): Promise<number[]> {
  const session = await slot.open(description, [request], 'fast');
  slot.parameters(session).set(weights);
  const inputs = {
    x: Float32Array.of(1, 2, 3),
    target: Int32Array.of(1),
    ids: Uint32Array.of(0),
    key: new Uint32Array(4),
  };
  await runPiece(slot, session, request, inputs, () => {});
  return [...slot.gradients(session)];
}

const first = await pool.acquire();
const before = await compute(first);
const failure = await compute(first).catch((error: Error) => error.message);
pool.release(first);
const second = await pool.acquire();
const after = await compute(second);
process.stdout.write(JSON.stringify({ before, failure, errors, other: second !== first, after }));
await pool.close();
