/** A JavaScript peer of bench/models.ts in a process of its own: computes only while it is asked to, as peers/models.py does. */
import { createInterface } from 'node:readline';
import { fillBatch, rows } from '../rows.ts';

/**
 * Says its version, then reads lines "ROW COUNT" and answers each with milliseconds of a step: CPU time, and wall time of the
 * shortest. null for rows that it does not have.
 */
export async function answer(
  version: string,
  open: (row: string) => Promise<(() => void) | undefined>,
): Promise<void> {
  const say = (what: unknown) => process.stdout.write(`${JSON.stringify(what)}\n`);
  const steps = new Map<string, (() => void) | undefined>();
  say(version);
  for await (const line of createInterface({ input: process.stdin })) {
    const [row, count] = line.split(' ') as [string, string];
    if (!steps.has(row)) {
      const step = await open(row);
      for (let i = 0; i < 20; i++) step?.();
      steps.set(row, step);
    }
    const step = steps.get(row);
    if (!step) {
      say(null);
      continue;
    }
    let best = Number.POSITIVE_INFINITY;
    const before = process.cpuUsage();
    for (let i = 0; i < Number(count); i++) {
      const start = performance.now();
      step();
      best = Math.min(best, performance.now() - start);
    }
    const { user, system } = process.cpuUsage(before);
    say({ cpu: (user + system) / 1000 / Number(count), best });
  }
}

/** The batch that all sides take. */
export function mlpBatch() {
  const row = rows.find(({ name }) => name === 'mlp')!;
  const batch = { x: new Float32Array(row.batch * mlpWidths[0]), labels: new Int32Array(row.batch) };
  fillBatch(row, batch.x, batch.labels);
  return batch;
}
export const mlpWidths = [784, 128, 64, 10] as const;
