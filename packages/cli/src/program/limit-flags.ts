/** Flags for the limits of a coordinator: typed over them, so that a limit has a flag. Loads nothing heavy. */
import type { Limits } from '@kasane/protocol/limits';
import { Option } from 'commander';
import { integer } from './options.ts';

interface LimitFlag {
  readonly flag: string;
  /** What is limited, with its unit. */
  readonly what: string;
  readonly least: number;
}

export const limitFlags: Readonly<Record<keyof Limits, LimitFlag>> = {
  jobs: { flag: '--max-jobs <n>', what: 'queued and running jobs', least: 1 },
  queuedTasks: {
    flag: '--max-queued-tasks <n>',
    what: 'queued tasks ahead of the current step (at least one step)',
    least: 1,
  },
  stagedBytes: {
    flag: '--max-staged-bytes <n>',
    what: 'bytes of samples in Redis ahead of the current step (at least one step)',
    least: 1,
  },
  messageBytes: {
    flag: '--max-message-bytes <n>',
    what: 'bytes per message or frame',
    least: (1 << 20) + (64 << 10),
  },
  streamBytes: {
    flag: '--max-unread-bytes <n>',
    what: 'unread bytes per worker, in addition to one version of the parameters',
    least: 1 << 16,
  },
  slowReaderSeconds: {
    flag: '--slow-reader-seconds <n>',
    what: 'seconds before a client that stops reading its stream is disconnected',
    least: 1,
  },
  connectionsPerClient: {
    flag: '--max-connections <n>',
    what: 'connections per address; a worker opens two',
    least: 1,
  },
  requestsPerSecond: { flag: '--max-requests <n>', what: 'calls per second per token', least: 1 },
  metricPoints: { flag: '--max-metric-points <n>', what: "points in a job's metrics history", least: 10 },
  metricIntervalMs: {
    flag: '--metric-interval <ms>',
    what: 'milliseconds between two points of the metrics history, 0 for every step',
    least: 0,
  },
  events: { flag: '--max-events <n>', what: 'recorded events per job', least: 10 },
  standstillSeconds: {
    flag: '--standstill-seconds <n>',
    what: 'seconds without results from its workers before a job fails',
    least: 1,
  },
  keptJobs: {
    flag: '--keep-jobs <n>',
    what: 'finished jobs whose metrics, ledger, checkpoints and events are kept; weights are always kept',
    least: 0,
  },
};

/** Property that commander gives a flag. */
export const limitKey = (flag: string) => new Option(flag).attributeName();

/** One option a limit, without defaults: those are the coordinator's. */
export function limitOptions(): Option[] {
  return Object.values(limitFlags).map(({ flag, what, least }) =>
    new Option(flag, `limit: ${what}`).argParser(integer(least)),
  );
}

/** The limits among parsed options. */
export function limitsOf(options: Readonly<Record<string, unknown>>): Partial<Limits> {
  const given = Object.entries(limitFlags).flatMap(([name, { flag }]) => {
    const value = options[limitKey(flag)];
    return value === undefined ? [] : [[name, value]];
  });
  return Object.fromEntries(given) as Partial<Limits>;
}
