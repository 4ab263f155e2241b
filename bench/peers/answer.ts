/** A JavaScript peer in a process of its own: computes only while it is asked to, as peers/answer.py does. */
import { createInterface } from 'node:readline';
import { timeCalls } from '../support/turns.ts';

/** Before work is timed: so many calls, or as many as fit. */
const WARM_UP = { calls: 20, milliseconds: 400 };

/**
 * Says its version, then reads lines [WORK, COUNT] and answers each with milliseconds of a call (`Figure`), or null for work that it
 * does not have. Work is opened when it is another than the line before had.
 * @param open gives what a call runs
 */
export async function answer(
  version: string,
  open: (work: unknown) => (() => void) | undefined,
): Promise<void> {
  const say = (what: unknown) => process.stdout.write(`${JSON.stringify(what)}\n`);
  let known: string | undefined;
  let run: (() => void) | undefined;
  say(version);
  for await (const line of createInterface({ input: process.stdin })) {
    const [work, count] = JSON.parse(line) as [unknown, number];
    const name = JSON.stringify(work);
    if (name !== known) {
      run = open(work);
      known = name;
      const start = performance.now();
      for (let i = 0; run && i < WARM_UP.calls && performance.now() - start < WARM_UP.milliseconds; i++)
        run();
    }
    say(run ? timeCalls(run, count) : null);
  }
}
