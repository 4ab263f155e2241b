/** Opens what is packed sample by sample: by its ending a file, all shards of a folder, or shards named by {000..009}. */
import { basename } from 'node:path';
import { kindOfPath } from '@kasane/tensor/internal/node/regular-file';
import { DataError, notFound } from '../dataset.ts';
import { listData } from '../files/folder.ts';
import { partOf } from '../files/layout.ts';
import { type ArrayPaths, openArrays } from './array-files.ts';
import type { OnDamaged } from './record-file.ts';
import { openRecords } from './record-samples.ts';
import type { SampleSource, SourceParts } from './sample-source.ts';
import { openWebDataset } from './webdataset.ts';

type Kind = 'arrays' | 'tar' | 'records';

const endings: readonly (readonly [RegExp, Kind])[] = [
  [/\.np[yz]$/i, 'arrays'],
  [/\.(tar|tar\.gz|tgz)$/i, 'tar'],
  [/\.(parquet|jsonl|ndjson)$/i, 'records'],
];

/** Shards of one data set. */
const MOST_SHARDS = 100_000;
const RANGE = /\{(\d+)\.\.(\d+)\}/;

const kindOf = (path: string): Kind | undefined => endings.find(([ending]) => ending.test(path))?.[1];

/** What lies beside data and describes it. */
const isNotes = (path: string) =>
  /^(readme|license|dataset_infos?|dataset_card)\b|\.md$/i.test(basename(path));

/** Whether something is packed sample by sample; undefined: it is none of these. */
export function sampleKind(path: string): Kind | undefined {
  const own = kindOf(path);
  if (own !== undefined || kindOfPath(path) !== 'folder') return own;
  const { files, folders } = listData(path);
  const kinds = new Set(files.filter((file) => !isNotes(file)).map(kindOf));
  const [kind] = kinds;
  return kinds.size === 1 && folders.length === 0 && kind !== 'arrays' ? kind : undefined;
}

/** @throws DataError */
export async function openSamples(paths: ArrayPaths, onDamaged: OnDamaged = 'fail'): Promise<SourceParts> {
  const { path, test } = paths;
  const kind = sampleKind(path);
  if (kind === 'arrays') return openArrays(paths);
  if (kind === undefined)
    throw new DataError(
      `${path}: it is no .npy, .npz, .tar, .parquet or .jsonl file, and no folder of those`,
    );
  const open = (place: string, shards: readonly string[]): Promise<SampleSource> =>
    kind === 'tar' ? openWebDataset(place, shards) : openRecords(place, shards, onDamaged);
  if (test !== undefined)
    return {
      train: await open(path, shardsOf(path, kind)),
      test: await open(test, shardsOf(test, kind)),
      notes: [],
    };
  const shards = shardsOf(path, kind);
  const parts = Map.groupBy(shards, (shard) => partOf(/^[a-z]+/i.exec(basename(shard))?.[0] ?? ''));
  const [train, tested] = [parts.get('train'), parts.get('test') ?? parts.get('validation')];
  if (!train || !tested || parts.has(undefined)) return { train: await open(path, shards), notes: [] };
  const named = (some: readonly string[]) =>
    `${basename(some[0]!)}${some.length > 1 ? ` and ${some.length - 1} more` : ''}`;
  const note = `${path}: ${named(train)} ${train.length > 1 ? 'are' : 'is'} for training and ${named(tested)} for testing, by their names`;
  return { train: await open(path, train), test: await open(path, tested), notes: [note] };
}

function shardsOf(path: string, kind: Kind): readonly string[] {
  const [, first, last] = RANGE.exec(path) ?? [];
  if (first !== undefined && last !== undefined && kindOfPath(path) === 'nothing') {
    const count = Number(last) - Number(first) + 1;
    if (!(count >= 1 && count <= MOST_SHARDS))
      throw new DataError(`${path}: {${first}..${last}} are ${count} files; expected 1 to ${MOST_SHARDS}`);
    return Array.from({ length: count }, (_, i) =>
      path.replace(RANGE, String(Number(first) + i).padStart(first.length, '0')),
    );
  }
  const found = kindOfPath(path);
  if (found === 'nothing') throw notFound(`${path}: file or folder not found`);
  if (found !== 'folder') return [path];
  const { files, problems } = listData(path);
  if (problems.length > 0) throw new DataError(problems[0]!);
  const shards = files.filter((file) => kindOf(file) === kind);
  if (shards.length === 0) throw new DataError(`${path}: it contains no files of that kind`);
  return shards;
}
