/** `kasane runs diff`: in what two jobs differ. */

import type { ClientOptions } from '@kasane/protocol/client';
import { differingPaths, RESULTS } from '@kasane/protocol/internal/job/job-diff';
import { columnValue, type Run, runOf } from '@kasane/protocol/internal/job/runs';
import { out } from '../../output/say.ts';
import { withClient } from '../../process/with-client.ts';
import { table } from '../../render/table.ts';
import { cellOf } from './columns.ts';

export async function diff(
  ids: readonly [string, string],
  { json, ...options }: ClientOptions & { readonly json?: boolean },
): Promise<void> {
  const pair = await withClient(options, (client) =>
    Promise.all(ids.map(async (id) => runOf(await client.get(id), await client.spec(id)))),
  );
  const file = differingPaths(pair.map((run) => run.file));
  const results = differingPaths(pair.map(({ record }) => record)).filter((key) =>
    RESULTS.includes(key.split('.')[0]!),
  );
  if (json) {
    const entries = (keys: readonly string[]) =>
      keys.map((key) => ({ key, values: pair.map((run) => columnValue(run, key)) }));
    out.lines(JSON.stringify({ jobs: ids, file: entries(file), results: entries(results) }));
    return;
  }
  out.lines(...section('JOB FILE', file, pair, 'The job files are the same.'), '');
  out.lines(...section('RESULT', results, pair, 'The results are the same.'));
  const { digest } = pair[0]!.record;
  if (digest !== null && !results.includes('digest'))
    out.lines('', `Both have the same weights: SHA-256 ${digest}`);
}

function section(
  title: string,
  keys: readonly string[],
  pair: readonly Run[],
  same: string,
): readonly string[] {
  if (keys.length === 0) return [same];
  const rows = keys.map((key) => [key, ...pair.map((run) => cellOf(run, key))]);
  return table([title, ...pair.map(({ job }) => job.id)], rows).split('\n');
}
