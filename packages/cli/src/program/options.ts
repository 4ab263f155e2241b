/** Flags and how they are read. The table of training flags is typed over the job file: an option has a flag or a refusal. */

import { join } from 'node:path';
import { homeFolder } from '@kasane/data/internal/files/user-folders';
import { whyNoAddress } from '@kasane/protocol/internal/ports/address';
import type { TrainingSpec } from '@kasane/protocol/job';
import type { Scope } from '@kasane/protocol/scopes';
import type { Backend, GpuStorage } from '@kasane/worker/internal/slots/gpu';
import { type Command, InvalidArgumentError } from 'commander';

/** Folder of a coordinator's state: what --state says, or the default. */
export function stateFolder(given?: string): string {
  const home = homeFolder();
  if (given !== undefined) return given;
  if (home === undefined) throw usage('There is no home folder: set HOME, or choose a folder with --state');
  return join(home, '.local/state/kasane');
}

interface Flag {
  readonly flag: string;
  readonly description: string;
  readonly parse: (text: string) => unknown;
}
interface NoFlag {
  /** Why a job file is needed for it. */
  readonly refused: string;
}

// Not a KasaneError: its table would bring gRPC, and --help must not wait for that.
const usage = (message: string) => new InvalidArgumentError(message);

/** Reads a whole number of at least `minimum`. @throws InvalidArgumentError */
export function integer(minimum: number, maximum = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isSafeInteger(value) && value >= minimum && value <= maximum)
      return value;
    const range =
      maximum === Number.MAX_SAFE_INTEGER ? `of at least ${minimum}` : `from ${minimum} to ${maximum}`;
    throw usage(`Expected a whole number ${range}`);
  };
}

/** Reads a number above 0. @throws InvalidArgumentError */
export function positive(): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isFinite(value) && value > 0) return value;
    throw usage('Expected a number above 0');
  };
}

/** Reads a number of at least `minimum`. @throws InvalidArgumentError */
export function atLeast(minimum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isFinite(value) && value >= minimum) return value;
    throw usage(`Expected a number of at least ${minimum}`);
  };
}

/** Reads one of a few words. @throws InvalidArgumentError */
export function oneOf<const T extends string>(words: readonly T[]): (text: string) => T {
  return (text) => {
    const found = words.find((word) => word === text);
    if (found) return found;
    throw usage(`Expected one of ${words.join(', ')}`);
  };
}

/** Checks host:port. @throws InvalidArgumentError */
export function address(): (text: string) => string {
  return (text) => {
    const why = whyNoAddress(text);
    if (why === undefined) return text;
    throw usage(why[0]!.toUpperCase() + why.slice(1));
  };
}

export const trainingFlags: { readonly [K in keyof Required<TrainingSpec>]: Flag | NoFlag } = {
  epochs: {
    flag: '--epochs <n>',
    description: 'passes over the training set',
    parse: integer(1),
  },
  batch: {
    flag: '--batch <n>',
    description: 'global batch size',
    parse: integer(1),
  },
  shards: {
    flag: '--shards <n>',
    description: 'shards per batch, computed in parallel',
    parse: integer(1),
  },
  accumulate: {
    flag: '--accumulate <n>',
    description: 'micro-batches per shard, computed in sequence',
    parse: integer(1),
  },
  seed: { flag: '--seed <n>', description: 'random seed', parse: integer(0) },
  learningRate: {
    flag: '--learning-rate <x>',
    description: 'peak learning rate',
    parse: positive(),
  },
  clipNorm: {
    flag: '--clip-norm <x>',
    description: 'maximum gradient norm',
    parse: positive(),
  },
  math: {
    flag: '--math <mode>',
    description: 'exact (same bits everywhere) or fast (fused multiply-add)',
    parse: oneOf(['exact', 'fast']),
  },
  memory: {
    flag: '--memory <use>',
    description: 'normal, or low for less memory at lower speed',
    parse: oneOf(['normal', 'low']),
  },
  ema: { refused: 'its options belong together: write them in a job file' },
  skipNotFinite: { refused: 'it is a decision about a job: write it in a job file' },
  freeze: { refused: 'it belongs to a model: write it in a job file' },
  stopEarly: { refused: 'its options belong together: write them in a job file' },
  optimizer: { refused: 'its options belong together: write them in a job file' },
  schedule: { refused: 'its options belong together: write them in a job file' },
};

/** Adds them to a command that takes a job. */
export function addTrainingFlags(command: Command): void {
  for (const flag of Object.values(trainingFlags))
    if ('flag' in flag) command.option(flag.flag, flag.description, flag.parse);
}

/** The flags of `trainingFlags` that were given, by name of the option. */
export function trainingOverrides(given: Partial<TrainingSpec>): Partial<TrainingSpec> {
  const names = (Object.keys(trainingFlags) as (keyof TrainingSpec)[]).filter(
    (name) => given[name] !== undefined,
  );
  return Object.fromEntries(names.map((name) => [name, given[name]])) as Partial<TrainingSpec>;
}

export const logLevels = ['silent', 'error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof logLevels)[number];
export const logFormats = ['text', 'json'] as const;
export type LogFormat = (typeof logFormats)[number];
export const exportFormats = ['onnx', 'safetensors'] as const;
export type ExportFormat = (typeof exportFormats)[number];
export const DEFAULT_PORT = 7420;
export const DASHBOARD_PORT = 7421;

/** Typed over what a worker knows: none is missing. */
const backendTable: Readonly<Record<Backend, true>> = { wasm: true, webgpu: true, auto: true };
export const backends = Object.keys(backendTable) as Backend[];
const scopeTable: Readonly<Record<Scope, true>> = { read: true, submit: true, work: true, admin: true };
export const tokenScopes = Object.keys(scopeTable) as Scope[];
const storageTable: Readonly<Record<GpuStorage, true>> = { f32: true, f16: true };
export const gpuStorages = Object.keys(storageTable) as GpuStorage[];
