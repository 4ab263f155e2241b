/**
 * Checkpoints and model files: safetensors, with what resuming needs in the metadata. Numbers are copied a few megabytes a turn of the
 * event loop, which others wait for.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Preparation } from '@kasane/data/dataset';
import { KasaneError } from '@kasane/protocol/errors';
import { exchangedOf } from '@kasane/protocol/internal/job/job-exchange';
import type { Job } from '@kasane/protocol/job';
import type { DataSpec } from '@kasane/protocol/job-data';
import { beginModelFile } from '@kasane/tensor/io/model-file';
import { beginSafetensors, decodeSafetensors } from '@kasane/tensor/io/safetensors';
import type { ParameterSpec } from '@kasane/tensor/nn/model';
import { AVERAGE } from '@kasane/tensor/optim/updater';
import type { DataIdentity } from '../submit/data-identity.ts';
import { readWhole } from './files.ts';
import { RESULT_DEFINITION } from './result-definition.ts';

/** Where a run stands between two steps. Sums are over what counted of the epoch that is under way. */
export interface Position {
  readonly step: number;
  readonly lossSum: number;
  readonly metricSum: number;
  readonly counted: number;
  /** What lossSum is divided by; absent: counted. */
  readonly weight?: number;
  /** Steps so far whose numbers were not finite and that were left out; absent: none. */
  readonly leftOut?: number;
  /** What it was trained on; absent in checkpoints of earlier versions. */
  readonly data?: DataIdentity;
  /** By which definition of results it was trained, once it is in a checkpoint; absent in those of the first. */
  readonly definition?: number;
}

/** What the parameter server holds: flat layouts, one float32 each parameter. */
export interface Weights {
  readonly parameters: Float32Array;
  readonly state: ReadonlyMap<string, Float32Array>;
}

/** What a run's weights are for those who use them: the averages, where the job keeps them. */
export const valuesOf = ({ parameters, state }: Weights): Float32Array => state.get(AVERAGE) ?? parameters;

const STATE_PREFIX = 'optimizer.';
/** Floats that are copied in one turn. */
const PIECE = 1 << 20;

/**
 * The weights alone, as a file that any safetensors reader loads. Its bytes depend on the job and the weights only, so
 * that equal training gives equal digests.
 */
export function encodeModel(
  { spec, model, objective }: Job,
  preparation: Preparation,
  parameters: Float32Array,
  step: number,
): Promise<Uint8Array> {
  return inTurns(
    beginModelFile({
      model,
      // The state of replicas is no part of it.
      parameters: parameters.subarray(0, model.parameterCount),
      about: {
        ...{ job: spec.name, step, seed: spec.training.seed },
        ...{ objective, preparation, data: withoutPlaces(spec.data) },
      },
    }),
  );
}

async function inTurns({ file, pieces }: ReturnType<typeof beginSafetensors>): Promise<Uint8Array> {
  for (const _ of pieces) await nextTurn();
  return file;
}

/** A data section without what is true of one machine only: equal training elsewhere gives the same bytes. */
const withoutPlaces = (data: DataSpec): object =>
  Object.fromEntries(Object.entries(data).filter(([name]) => !['path', 'test', 'route'].includes(name)));

/** A checkpoint as its file has it. The weights must stand still until it is there. */
export function encodeCheckpoint(job: Job, weights: Weights, position: Position): Promise<Uint8Array> {
  const exchanged = exchangedOf(job);
  const list = tensors(exchanged, weights.parameters, '');
  for (const [name, values] of weights.state) {
    list.push(...tensors(exchanged, values, `${STATE_PREFIX}${name}/`));
  }
  const written: Position = { ...position, definition: RESULT_DEFINITION };
  return inTurns(beginSafetensors(list, { 'kasane.position': JSON.stringify(written) }));
}

/** Reads a checkpoint into `weights`. Returns its position, or why it cannot be used. */
export async function readCheckpoint(
  path: string,
  digest: string,
  job: Job,
  weights: Weights,
): Promise<Position | { why: string }> {
  const file = await readWhole(path, digest);
  if (!file.bytes) return file;
  const { tensors: list, metadata } = decodeSafetensors(file.bytes, { inPlace: true });
  const byName = new Map(list.map((tensor) => [tensor.name, tensor]));
  const exchanged = exchangedOf(job);
  let copied = 0;
  const fill = async (into: Float32Array, prefix: string) => {
    for (const { name, offset, size } of exchanged) {
      const tensor = byName.get(prefix + name);
      if (tensor?.data.length !== size) {
        throw new KasaneError(
          'FILE_DAMAGED',
          `${path}: tensor '${prefix}${name}' of ${size} numbers is missing`,
        );
      }
      for (let at = 0; at < size; at += PIECE) {
        const piece = tensor.data.subarray(at, at + PIECE);
        into.set(piece, offset + at);
        copied += piece.length;
        if (copied < PIECE) continue;
        await nextTurn();
        copied = 0;
      }
    }
  };
  await fill(weights.parameters, '');
  for (const [name, values] of weights.state) await fill(values, `${STATE_PREFIX}${name}/`);
  return JSON.parse(metadata['kasane.position'] ?? '') as Position;
}

function tensors(parameters: readonly ParameterSpec[], values: Float32Array, prefix: string) {
  return parameters.map(({ name, shape, offset, size }) => ({
    name: prefix + name,
    shape,
    data: values.subarray(offset, offset + size),
  }));
}
