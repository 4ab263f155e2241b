/** Follows a sweep for a page: the sweep with all of its trials, then whatever has changed. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CoordinatorClient } from '@kasane/protocol/client';
import { KasaneError } from '@kasane/protocol/errors';
import { SweepState } from '@kasane/protocol/gen/kasane/v1/sweeps';

/** A stream that breaks off is opened again after this many milliseconds. */
const RETRY_MS = 1000;

/**
 * @param send events: `sweep` with `{ sweep, trials }`, all of them; `trials` with those that have changed; `missing` with the ID
 * @returns what ends it
 */
export function followSweep(
  client: Pick<CoordinatorClient, 'sweeps'>,
  id: string,
  send: (event: 'sweep' | 'trials' | 'missing', value: unknown) => void,
): () => void {
  const closed = new AbortController();
  void follow(client, id, send, closed.signal);
  return () => closed.abort();
}

async function follow(
  client: Pick<CoordinatorClient, 'sweeps'>,
  id: string,
  send: (event: 'sweep' | 'trials' | 'missing', value: unknown) => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      let sent: readonly unknown[] | undefined;
      for await (const { sweep, trials } of client.sweeps.watch(id, signal)) {
        if (signal.aborted) return;
        const known = sent;
        // A trial that has changed is a new object.
        const changed = known ? trials.filter((trial, index) => trial !== known[index]) : trials;
        send(known ? 'trials' : 'sweep', { sweep, trials: changed });
        sent = trials;
        if (sweep.state !== SweepState.SWEEP_STATE_RUNNING) return;
      }
    } catch (error) {
      if (error instanceof KasaneError && error.code === 'SWEEP_NOT_FOUND') return send('missing', id);
    }
    // That the coordinator is gone is reported where jobs are listed.
    await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
  }
}
