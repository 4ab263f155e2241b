/**
 * Which data a checkpoint was trained on. It is kept in the checkpoint, and a run goes on from it with the same data only: samples are told
 * by their numbers, so with others nothing that was counted would be true.
 *
 * It covers every byte of idx, csv, text, series and packed data, as prepared; of image folders the names, classes and sizes of all files and the
 * content of as many, evenly spread, as make 64 MiB; and of all of them the number of samples and the names of the classes.
 */
import { createHash } from 'node:crypto';
import { classNamesOf, type DataParts } from '@kasane/data/dataset';
import { KasaneError, messageOf } from '@kasane/protocol/errors';

export interface DataIdentity {
  readonly train: number;
  readonly test: number;
  /** SHA-256, the first 32 digits. */
  readonly digest: string;
}

const known = new WeakMap<DataParts, Promise<DataIdentity>>();

/** What tells these data from others. */
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
 * @param then what a checkpoint was trained on; undefined: it is of a version that did not say
 * @throws KasaneError DATA_INVALID when these are other data
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
