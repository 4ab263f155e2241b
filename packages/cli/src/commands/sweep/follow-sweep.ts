/** A sweep's progress on the terminal, a line for each result, until it ends. */
import { constants } from 'node:os';
import type { CoordinatorClient, SweepWithTrials } from '@kasane/protocol/client';
import { KasaneError } from '@kasane/protocol/errors';
import type { Sweep, Trial } from '@kasane/protocol/gen/kasane/v1/sweeps';
import { err } from '../../output/say.ts';
import { count } from '../../render/count.ts';
import { metricsText, valuesText } from '../../render/sweep.ts';

/**
 * @param left said when Ctrl-C ends this process while it looks; without it that is left to the caller
 * @param onTrials hears of the trials whenever something has changed
 */
export async function followSweep(
  client: CoordinatorClient,
  id: string,
  say: (line: string) => void,
  { left, onTrials }: { readonly left?: string; readonly onTrials?: (trials: readonly Trial[]) => void } = {},
): Promise<SweepWithTrials> {
  let last: SweepWithTrials | undefined;
  let waiting = '';
  const said = new Map<number, string>();
  const leave = () => {
    err.lines(left ?? '');
    process.exit(128 + constants.signals.SIGINT);
  };
  if (left !== undefined) process.once('SIGINT', leave);
  try {
    for await (const now of client.sweeps.watch(id)) {
      last = now;
      onTrials?.(now.trials);
      for (const trial of now.trials) {
        const line = resultLine(now.sweep, trial);
        if (line === undefined || said.get(trial.number) === line) continue;
        said.set(trial.number, line);
        say(line);
      }
      const held = now.sweep.waitingFor?.text ?? '';
      if (held && held !== waiting) say(`waiting: ${held}`);
      waiting = held;
    }
  } finally {
    process.off('SIGINT', leave);
  }
  if (!last) throw new KasaneError('PROTOCOL', `the coordinator sent nothing about sweep ${id}`);
  return last;
}

/** What is new of a trial; undefined while nothing is. */
function resultLine(sweep: Sweep, trial: Trial): string | undefined {
  const { number, epochs, value, error } = trial;
  if (error) return `trial ${number} failed: ${error} (${valuesText(trial)})`;
  if (value === undefined) return undefined;
  const progress = epochs < sweep.epochs ? `${epochs} of ${sweep.epochs} epochs` : count(epochs, 'epoch');
  return `trial ${number}: ${metricsText(sweep, trial)} after ${progress} (${valuesText(trial)})`;
}
