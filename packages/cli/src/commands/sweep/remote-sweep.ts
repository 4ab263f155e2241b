/** `kasane sweep --coordinator`: a sweep on a cluster that is there. */

import { writeFileSync } from 'node:fs';
import { type ClientOptions, requireSweepSuccess } from '@kasane/protocol/client';
import { KasaneError } from '@kasane/protocol/errors';
import type { Sweep } from '@kasane/protocol/internal/job/job-search';
import { sourceOf } from '../../files/job-source.ts';
import { placeWeights, sweepPlace, type WeightsPlace, whyUnwritable } from '../../files/output-file.ts';
import { textOfSweep } from '../../files/read-sweep.ts';
import { err, out } from '../../output/say.ts';
import { withClient } from '../../process/with-client.ts';
import { followSweep } from './follow-sweep.ts';
import { type Model, report } from './report.ts';
import { placeOfStart, placeOfTrial, winnersOf } from './winners.ts';

interface RemoteOptions extends ClientOptions {
  readonly out?: string;
  readonly priority?: number;
  readonly detach?: boolean;
  readonly json?: boolean;
}

/** What is asked of a coordinator needs one. @throws KasaneError USAGE */
export function requireLocal({ priority, detach }: Pick<RemoteOptions, 'priority' | 'detach'>): void {
  const given = priority !== undefined ? '--priority' : detach ? '--detach' : undefined;
  if (given !== undefined) throw new KasaneError('USAGE', `${given} needs --coordinator HOST:PORT`);
}

/** @param file that the sweep is of */
export async function remoteSweep(file: string, sweep: Sweep, options: RemoteOptions): Promise<void> {
  const place = options.detach ? undefined : sweepPlace(sweep, options.out, file);
  await withClient(options, async (client) => {
    const note = (text: string) => void err.lines(`Note: ${text}`);
    const source = await sourceOf(file);
    const id = await client.sweeps.submit(textOfSweep(sweep), options.priority, source, note);
    if (!place) {
      out.lines(options.json ? JSON.stringify({ sweep: id }) : id);
      return;
    }
    const say = (line: string) => void err.lines(line);
    say(`Sweep: ${id}`);
    const left = `${id} continues: follow it with \`kasane sweeps ${id} --watch\`, or end it with \`kasane cancel ${id}\``;
    const ended = await followSweep(client, id, say, { left });
    requireSweepSuccess(ended.sweep);
    const models: Model[] = [];
    const fetched = async (of: string, to: Pick<WeightsPlace, 'out' | 'version'>) =>
      written(await client.model(of), { ...to, say }, of);
    for (const { trial, job, parent } of await winnersOf(client, ended)) {
      const model = await fetched(job.id, placeOfTrial(place, ended, trial));
      models.push({ trial, job, model, init: parent && (await fetched(parent.id, placeOfStart(model))) });
    }
    report(sweep, ended, models, options.json === true);
  });
}

/** @returns where the weights are @throws KasaneError CANNOT_WRITE */
function written(weights: Uint8Array, place: Parameters<typeof placeWeights>[0], job: string): string {
  try {
    return placeWeights(place, (partial) => writeFileSync(partial, weights, { flag: 'wx' }));
  } catch (cause) {
    throw new KasaneError(
      'CANNOT_WRITE',
      `the weights cannot be written to ${place.out}: ${whyUnwritable(cause)}; get them with \`kasane export ${job} -o FILE\``,
      { cause },
    );
  }
}
