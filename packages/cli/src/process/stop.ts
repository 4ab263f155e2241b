/** Signals that ask a command to stop. */
import { constants } from 'node:os';
import { KasaneError } from '@kasane/protocol/errors';
import { stopSignals } from './hangup.ts';

/**
 * A terminal signals everybody in its foreground, and npm, which started us, passes the same signal on: what comes within this many
 * milliseconds is one request.
 */
const ONE_REQUEST_MS = 1000;

type Signal = (typeof stopSignals)[number];

/** A command that did not do what it was asked for, since a signal asked it to stop. */
export class StoppedBySignal extends KasaneError {
  /** As shells give it to what a signal has ended. */
  readonly exit: number;

  constructor(signal: NodeJS.Signals, message: string) {
    super('JOB_CANCELLED', message);
    this.exit = 128 + constants.signals[signal];
  }
}

/** Calls `first` when a signal asks to stop, and `again` when somebody, out of patience, asks once more. */
export function onStop(
  first: (signal: Signal) => void,
  again: (signal: Signal) => void,
  signals: readonly Signal[] = stopSignals,
): void {
  let asked: number | undefined;
  const hear = (signal: Signal) => {
    const now = performance.now();
    if (asked === undefined) {
      asked = now;
      first(signal);
    } else if (now - asked > ONE_REQUEST_MS) again(signal);
  };
  for (const signal of signals) process.on(signal, hear);
}

/** Resolves when a signal asks to stop; one that comes while the command cleans up ends it at once. */
export const stopAsked = () =>
  new Promise<void>((resolve) => {
    onStop(
      () => resolve(),
      (signal) => {
        // Node's exit waits for its threads, and they for a disk that hangs. The system ends a process at once.
        process.on('exit', () => {
          process.removeAllListeners(signal);
          process.kill(process.pid, signal);
        });
        process.exit(128 + constants.signals[signal]);
      },
    );
  });
