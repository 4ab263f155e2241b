/**
 * Bytes from files and from the network, random and nearly right: each input is taken, or refused with a typed error, in less than a
 * second of CPU time and with no more memory than stated. `npm run fuzz` tries 100,000 a target with another seed each time.
 */
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { corpus, inputs, remember } from './inputs.ts';
import { cleanUp, type Target, targets } from './targets.ts';

const runs = Number(process.env.KASANE_FUZZ_RUNS ?? 500);
const seed = Number(process.env.KASANE_FUZZ_SEED ?? 20_261_125);
/** Microseconds of CPU time: another process that takes the processor away is no hang. */
const MOST_CPU_US = 1_000_000;

/** Runs one input; rejects with what was wrong. */
async function attempt({ run, errors, most }: Target, bytes: Buffer): Promise<void> {
  const [cpu, { arrayBuffers }] = [process.cpuUsage(), process.memoryUsage()];
  try {
    const running = run(bytes);
    if (running instanceof Promise) await running;
  } catch (error) {
    if (!errors.some((type) => error instanceof type)) throw error;
    expect((error as Error).message.length).toBeGreaterThan(10);
  }
  const { user, system } = process.cpuUsage(cpu);
  if (user + system > MOST_CPU_US)
    throw new Error(`${(user + system) / 1000} ms of CPU time for ${bytes.length} bytes`);
  const left = process.memoryUsage().arrayBuffers - arrayBuffers;
  if (left > most + bytes.length) throw new Error(`${left} bytes allocated for ${bytes.length}`);
}

const all = await targets();
afterAll(cleanUp);

describe.each(all)('$name', (target) => {
  it('takes what is valid', async () => {
    for (const bytes of target.valid) await attempt(target, bytes);
  });

  it('answers what once broke it, or nearly', async () => {
    for (const bytes of corpus(target.name)) await attempt(target, bytes);
  });

  const count = Math.max(runs, target.least ?? 0);
  it(`answers ${count} inputs`, { timeout: 3_600_000 }, async () => {
    let failed: Buffer | undefined;
    const property = fc.asyncProperty(inputs(target.valid), async (bytes) => {
      try {
        await attempt(target, bytes);
      } catch (error) {
        failed = bytes;
        throw error;
      }
    });
    const outcome = await fc.check(property, { numRuns: count, seed });
    if (!outcome.failed) return;
    // The smallest that was found; a test from now on.
    const where = failed && remember(target.name, failed);
    throw new Error(`seed ${seed}: ${String(outcome.errorInstance)}; the input is in ${where}`, {
      cause: outcome.errorInstance,
    });
  });
});
