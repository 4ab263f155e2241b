/** `kasane delete`: jobs that have ended go for good, after a question. */

import type { ClientOptions } from '@kasane/protocol/client';
import { KasaneError } from '@kasane/protocol/errors';
import { hasEnded } from '@kasane/protocol/job-state';
import { err, out } from '../../output/say.ts';
import { isSure } from '../../process/is-sure.ts';
import { withClient } from '../../process/with-client.ts';
import { byteSize, count } from '../../render/count.ts';

interface DeleteOptions extends ClientOptions {
  /** Nothing is asked. */
  readonly yes?: boolean;
  readonly json?: boolean;
}

/** Deletes each of these jobs, or none where one does not exist or has not ended. */
export async function deleteJobs(ids: readonly string[], options: DeleteOptions): Promise<void> {
  if (!options.yes && !process.stdin.isTTY)
    throw new KasaneError('USAGE', 'kasane delete asks first, and there is no terminal: add --yes');
  await withClient(options, async (client) => {
    const jobs = [];
    for (const id of new Set(ids)) jobs.push(await client.get(id));
    if (!options.yes && !(await isSureOf(jobs.map(({ id }) => id)))) {
      err.lines('nothing was deleted');
      return;
    }
    // What the coordinator refuses comes first: then all of them stay.
    jobs.sort((a, b) => Number(hasEnded(a.state)) - Number(hasEnded(b.state)));
    for (const { id } of jobs) {
      const bytes = await client.delete(id);
      const line = `${id} deleted (${byteSize(bytes)})`;
      out.lines(options.json ? JSON.stringify({ job: id, bytes }) : line);
    }
  });
}

function isSureOf(ids: readonly string[]): Promise<boolean> {
  const [what, whose] = ids.length === 1 ? [ids[0]!, 'its'] : [count(ids.length, 'job'), 'their'];
  if (ids.length > 1) err.lines(...ids);
  return isSure(
    `Delete ${what} with ${whose} history, checkpoints and weights? This cannot be undone. [y/N] `,
  );
}
