/** `Sweeps.Watch`: a sweep with all its trials, then with those that have changed. */
import type { ServerWritableStream } from '@grpc/grpc-js';
import {
  type Sweep as SweepMessage,
  SweepState,
  type SweepsWatchRequest,
  type SweepsWatchResponse,
  type Trial as TrialMessage,
} from '@kasane/protocol/gen/kasane/v1/sweeps';
import { TRIALS_MESSAGE } from '@kasane/protocol/limits';
import type { Sweeps } from '../sweeps/sweeps.ts';
import type { Refuse } from './handlers.ts';
import { watchChanges } from './watch-changes.ts';

/** Least time between two messages, in milliseconds. */
const INTERVAL_MS = 250;

/** @throws KasaneError SWEEP_NOT_FOUND */
export function watchSweep(
  call: ServerWritableStream<SweepsWatchRequest, SweepsWatchResponse>,
  sweeps: Pick<Sweeps, 'get' | 'onChange'>,
  refuse: Refuse,
): void {
  const id = call.request.sweep;
  const sent = new Map<number, string>();
  let sentSweep = '';
  watchChanges(
    call,
    {
      intervalMs: INTERVAL_MS,
      onChange: (listener) => sweeps.onChange(id, listener),
      now: () => {
        const { sweep, trials } = sweeps.get(id);
        const changed = trials.filter((trial) => {
          const text = JSON.stringify(trial);
          if (sent.get(trial.number) === text) return false;
          sent.set(trial.number, text);
          return true;
        });
        const text = JSON.stringify(sweep);
        const isNew = changed.length > 0 || text !== sentSweep;
        sentSweep = text;
        return {
          messages: isNew ? inMessages(sweep, changed) : [],
          isLast: sweep.state !== SweepState.SWEEP_STATE_RUNNING,
        };
      },
    },
    refuse,
  );
}

/** The last message is the one without `more`, so there is one even if no trial has changed. */
function* inMessages(sweep: SweepMessage, trials: readonly TrialMessage[]): Generator<SweepsWatchResponse> {
  let [part, characters]: [TrialMessage[], number] = [[], 0];
  for (const trial of trials) {
    const size = trial.assignment.length + trial.error.length + trial.job.length;
    if (part.length > 0 && characters + size > TRIALS_MESSAGE) {
      yield { sweep, trials: part, more: true };
      [part, characters] = [[], 0];
    }
    part.push(trial);
    characters += size;
  }
  yield { sweep, trials: part, more: false };
}
