/** `kasane sweeps`: the sweeps of a coordinator, or one of them with its trials. */

import { type ClientOptions, type CoordinatorClient, requireSweepSuccess } from '@kasane/protocol/client';
import { SweepState } from '@kasane/protocol/gen/kasane/v1/sweeps';
import { err, out } from '../../output/say.ts';
import { withClient } from '../../process/with-client.ts';
import { frontOf, rankingRecord, sweepRecord, sweepTable, trialTable } from '../../render/sweep.ts';
import { followSweep } from './follow-sweep.ts';

/** Failed trials of which the reason is printed. */
const MOST_FAILED = 5;

interface Options extends ClientOptions {
  readonly json?: boolean;
  readonly watch?: boolean;
}

export async function sweeps(id: string | undefined, options: Options): Promise<void> {
  await withClient(options, async (client) => {
    if (id === undefined) await list(client, options);
    else await show(client, id, options);
  });
}

async function list(client: CoordinatorClient, { json }: Options): Promise<void> {
  const all = await client.sweeps.list(Number.POSITIVE_INFINITY);
  if (json) out.lines(JSON.stringify(all.map(sweepRecord)));
  else if (all.length > 0) out.lines(...sweepTable(all));
  else err.lines('no sweeps yet: kasane sweep FILE --coordinator HOST:PORT');
}

async function show(client: CoordinatorClient, id: string, { json, watch }: Options): Promise<void> {
  const left = `${id} continues; end it with \`kasane cancel ${id}\``;
  const { sweep, trials } = watch
    ? await followSweep(client, id, (line) => void err.lines(line), { left })
    : await client.sweeps.get(id);
  if (json) {
    out.lines(JSON.stringify(rankingRecord(sweep, trials)));
  } else {
    const { best } = sweep;
    const front = frontOf(sweep, trials).filter(({ job }) => job);
    out.lines(...sweepTable([sweep]), '', ...trialTable(sweep, trials));
    const failed = trials.filter(({ error }) => error !== '');
    out.lines(...failed.slice(0, MOST_FAILED).map(({ number, error }) => `trial ${number} failed: ${error}`));
    if (sweep.error) err.lines(sweep.error);
    if (sweep.state === SweepState.SWEEP_STATE_SUCCEEDED && front.length > 0)
      out.lines(
        '',
        `Front: ${front.map(({ job }) => job).join(', ')}; \`kasane export JOB -o FILE\`, \`kasane predict JOB INPUT\``,
      );
    else if (sweep.state === SweepState.SWEEP_STATE_SUCCEEDED && best)
      out.lines(
        '',
        best.job
          ? `Best: \`kasane export ${best.job} -o FILE\`, \`kasane predict ${best.job} INPUT\``
          : `Best: trial ${best.number}, which has been deleted with its weights`,
      );
  }
  if (watch) requireSweepSuccess(sweep);
}
