/**
 * The full event history of a job for clients. Gaps are filled from other records: earlier versions recorded no events, and few events
 * are kept of jobs that ended long ago. Times are never invented: an event of unknown time has none.
 */

import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import type { EpochResult, Event } from '@kasane/protocol/gen/kasane/v1/jobs';
import { eventKind, type JobEvent, knownEvent } from '@kasane/protocol/internal/events/events';
import type { JobSpec } from '@kasane/protocol/job';
import { metricKindOf, metricOf } from '@kasane/tensor/objective';
import { epochArgs } from '../run/answers.ts';
import { keptOf } from '../store/event-record.ts';
import type { JobRecord } from '../store/job-record.ts';
import type { JobStore } from '../store/store.ts';

/** The event of a job's end. */
export function endEvent({ state, error, step }: Pick<JobRecord, 'state' | 'error' | 'step'>): JobEvent {
  if (state === JobState.JOB_STATE_FAILED) return { code: 'failed', args: { step, error } };
  return { code: state === JobState.JOB_STATE_SUCCEEDED ? 'succeeded' : 'cancelled', args: { step } };
}

/** @param recorded events, oldest first @param most limit of events per job */
export function wholeRecord(
  job: JobRecord,
  recorded: readonly Event[],
  store: Pick<JobStore, 'epochs' | 'lastEpoch'>,
  most: number,
): readonly Event[] {
  const isEarlier = !recorded.some(({ code }) => code === 'submitted');
  const epochsLack = isEarlier || !recorded.some(({ code }) => code === 'epoch');
  if (!epochsLack) return recorded;
  const from = (event: JobEvent, time: number): Event => ({ number: 0, job: job.id, time, ...keptOf(event) });
  const { epochs, left } = lackingEpochs(job.id, recorded, store, most);
  const { training, objective } = JSON.parse(job.spec) as Pick<JobSpec, 'training' | 'objective'>;
  const metric = metricKindOf[metricOf(objective)];
  const results = [
    ...(left > 0 ? [from({ code: 'left-out', args: { count: left } }, 0)] : []),
    ...epochs.map((result) =>
      from({ code: 'epoch', args: epochArgs(result, training.epochs, metric) }, result.endedAt),
    ),
  ];
  const made = isEarlier ? [...beginningOf(job, from), ...results, ...endOf(job, recorded, from)] : results;
  if (made.length === 0) return recorded;
  // Events without a time come after the start, in their own order.
  const rank = ({ time, code }: Event) => (code === 'earlier-version' ? 0 : time || job.startedAt);
  return [...made, ...recorded].sort((a, b) => rank(a) - rank(b));
}

type From = (event: JobEvent, time: number) => Event;

function beginningOf({ name, spec, submittedAt, startedAt }: JobRecord, from: From): Event[] {
  const { training } = JSON.parse(spec) as Pick<JobSpec, 'training'>;
  // A resumed job was queued again after its end.
  const isKnown = startedAt === 0 || submittedAt <= startedAt;
  const started = from({ code: 'started', args: { epochs: training.epochs } }, startedAt);
  return [
    from({ code: 'earlier-version', args: {} }, 0),
    from({ code: 'submitted', args: { name } }, isKnown ? submittedAt : 0),
    ...(startedAt > 0 ? [started] : []),
  ];
}

function endOf(job: JobRecord, recorded: readonly Event[], from: From): Event[] {
  const isRecorded = recorded.some(({ code }) => eventKind(code) === 'end');
  return job.endedAt > 0 && !isRecorded ? [from(endEvent(job), job.endedAt)] : [];
}

/** The newest epochs without an event, and the number of others. */
function lackingEpochs(
  job: string,
  recorded: readonly Event[],
  store: Pick<JobStore, 'epochs' | 'lastEpoch'>,
  most: number,
): { readonly epochs: readonly EpochResult[]; readonly left: number } {
  const known = new Set(
    recorded.map((event) => {
      const seen = event.code === 'epoch' ? knownEvent(event) : undefined;
      return seen?.code === 'epoch' ? seen.args.epoch : 0;
    }),
  );
  // Epochs that were dropped from the record are counted there.
  if (recorded.some(({ code }) => code === 'left-out')) return { epochs: [], left: 0 };
  const last = store.lastEpoch(job);
  const first = Math.max(0, last - Math.max(0, most - recorded.length));
  return { epochs: store.epochs(job, first).filter(({ epoch }) => !known.has(epoch)), left: first };
}
