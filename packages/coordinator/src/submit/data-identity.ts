/**
 * Identifies the data that a checkpoint was trained on. It is stored in the checkpoint, and a run resumes only with the same data:
 * samples are identified by index, so with other data the ledger and metrics would be wrong.
 * Covers every byte of idx, csv, text, series and packed data, as prepared; for image folders, the names, classes and sizes of all files
 * and the content of an evenly spread selection of 64 MiB; and always the number of samples and the names of the classes.
 */
import { createHash } from 'node:crypto';
import { classNamesOf, type DataParts } from '@kasane/data/dataset';
import { KasaneError, messageOf } from '@kasane/protocol/errors';

export interface DataIdentity {
  readonly train: number;
  readonly test: number;
  /** The first 32 hex digits of a SHA-256. */
  readonly digest: string;
}

const known = new WeakMap<DataParts, Promise<DataIdentity>>();

/** Computes the identity of open data. */
export function identityOf(data: DataParts): Promise<DataIdentity> {
  const found =
    known.get(data) ??
    identify(data).catch((cause: unknown) => {
      throw new KasaneError('DATA_INVALID', messageOf(cause), { cause });
    });
  known.set(data, found);
  return found;
}

async function identify({ train, test, preparation }: DataParts): Promise<DataIdentity> {
  const hash = createHash('sha256').update(JSON.stringify([classNamesOf(preparation) ?? []]));
  for (const { samples, input, target, digest, identity } of [train, test])
    hash.update(JSON.stringify([samples, input, target, (await identity?.()) ?? digest]));
  return { train: train.samples, test: test.samples, digest: hash.digest('hex').slice(0, 32) };
}

/**
 * @param then identity stored in a checkpoint; undefined if it was written by a version without one
 * @throws KasaneError DATA_INVALID if the data differs
 */
export async function checkIdentity(
  id: string,
  place: string,
  step: number,
  then: DataIdentity | undefined,
  data: DataParts,
): Promise<void> {
  const now = await identityOf(data);
  if (then === undefined || then.digest === now.digest) return;
  const told = ({ train, test, digest }: DataIdentity) =>
    `${train} training and ${test} test samples, digest ${digest.slice(0, 8)}`;
  throw new KasaneError(
    'DATA_INVALID',
    `${place}: the data has changed since the checkpoint of step ${step}: ${told(then)} then, ${told(now)} now; restore the earlier data and run \`kasane resume ${id}\`, or train on the new data from the start with \`kasane retry ${id}\``,
  );
}
