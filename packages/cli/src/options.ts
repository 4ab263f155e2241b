/** Flags and how they are read. The table of training flags is typed over the job file: an option has a flag or a refusal. */
import { KasaneError } from '@kasane/protocol/errors';
import type { TrainingSpec } from '@kasane/protocol/job';

interface Flag {
  readonly flag: string;
  readonly description: string;
  readonly parse: (text: string) => unknown;
}
interface NoFlag {
  /** Why a job file is needed for it. */
  readonly refused: string;
}

const usage = (message: string) => new KasaneError('USAGE', message);

/** Reads a whole number of at least `minimum`. @throws KasaneError USAGE */
export function integer(
  name: string,
  minimum: number,
  maximum = Number.MAX_SAFE_INTEGER,
): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isSafeInteger(value) && value >= minimum && value <= maximum)
      return value;
    const range =
      maximum === Number.MAX_SAFE_INTEGER ? `of at least ${minimum}` : `from ${minimum} to ${maximum}`;
    throw usage(`${name} is '${text}'; a whole number ${range} is expected`);
  };
}

function positive(name: string): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isFinite(value) && value > 0) return value;
    throw usage(`${name} is '${text}'; a number above 0 is expected`);
  };
}

/** Reads one of a few words. @throws KasaneError USAGE */
export function oneOf<const T extends string>(name: string, words: readonly T[]): (text: string) => T {
  return (text) => {
    const found = words.find((word) => word === text);
    if (found) return found;
    throw usage(`${name} is '${text}'; one of ${words.join(', ')} is expected`);
  };
}

/** Checks host:port. @throws KasaneError USAGE */
export function address(name: string): (text: string) => string {
  return (text) => {
    const port = Number(/^.+:(\d+)$/.exec(text)?.[1]);
    if (port >= 1 && port <= 65535) return text;
    throw usage(`${name} is '${text}'; HOST:PORT is expected, such as 127.0.0.1:7420`);
  };
}

export const trainingFlags: { readonly [K in keyof Required<TrainingSpec>]: Flag | NoFlag } = {
  epochs: {
    flag: '--epochs <n>',
    description: 'passes over the training set',
    parse: integer('--epochs', 1),
  },
  batch: {
    flag: '--batch <n>',
    description: 'samples of a step, over all workers',
    parse: integer('--batch', 1),
  },
  shards: {
    flag: '--shards <n>',
    description: 'parts of a batch that are computed separately',
    parse: integer('--shards', 1),
  },
  seed: { flag: '--seed <n>', description: 'what all randomness comes from', parse: integer('--seed', 0) },
  learningRate: {
    flag: '--learning-rate <x>',
    description: 'peak of the schedule',
    parse: positive('--learning-rate'),
  },
  clipNorm: {
    flag: '--clip-norm <x>',
    description: 'largest norm of the gradient',
    parse: positive('--clip-norm'),
  },
  math: { flag: '--math <mode>', description: 'exact or fast', parse: oneOf('--math', ['exact', 'fast']) },
  optimizer: { refused: 'its options belong together: write them in a job file' },
  schedule: { refused: 'its options belong together: write them in a job file' },
};

/** The flags of `trainingFlags` that were given, by name of the option. */
export function trainingOverrides(given: Readonly<Record<string, unknown>>): Partial<TrainingSpec> {
  const names = Object.keys(trainingFlags).filter((name) => given[name] !== undefined);
  return Object.fromEntries(names.map((name) => [name, given[name]])) as Partial<TrainingSpec>;
}

export const logLevels = ['silent', 'error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof logLevels)[number];
export const DEFAULT_PORT = 7420;
