/** `Jobs.WatchEvents`: past events of a job, or of all jobs, then new ones as they happen. */
import type { ServerWritableStream } from '@grpc/grpc-js';
import type { Event, WatchEventsRequest, WatchEventsResponse } from '@kasane/protocol/gen/kasane/v1/jobs';
import { hasEnded } from '@kasane/protocol/job-state';
import { EVENTS_MESSAGE } from '@kasane/protocol/limits';
import type { JobManager } from '../jobs/manager.ts';
import { orRefuse, type Refuse } from './handlers.ts';

/** Number of messages that a client may leave unread. */
const MESSAGES_BEHIND = 1_000;

/** @throws KasaneError JOB_NOT_FOUND */
export function watchEvents(
  call: ServerWritableStream<WatchEventsRequest, WatchEventsResponse>,
  manager: JobManager,
  refuse: Refuse,
): void {
  const { job, after } = call.request;
  const past = job === '' ? manager.record.newest(EVENTS_MESSAGE) : manager.events(job);
  for (const message of inMessages(after === 0 ? past : past.filter(({ number }) => number > after)))
    call.write(message);
  let behind = 0;
  const offEvent = manager.record.onEvent((event) => {
    if (job !== '' && event.job !== job) return;
    // A client that does not read is disconnected instead of buffering for it.
    behind = call.writableNeedDrain ? behind + 1 : 0;
    if (behind > MESSAGES_BEHIND) call.destroy();
    else call.write({ events: [event], more: false });
  });
  let offChange = () => {};
  const stop = () => {
    offEvent();
    offChange();
  };
  call.on('cancelled', stop);
  call.on('close', stop);
  if (job === '') return;
  const changed = () => {
    if (!hasEnded(manager.get(job).state)) return;
    stop();
    call.end();
  };
  offChange = manager.onChange(job, orRefuse(changed, stop, refuse));
  changed();
}

/** The last message is the one without `more`, so there is one even without events. */
function* inMessages(events: readonly Event[]): Generator<WatchEventsResponse> {
  for (let start = 0; start === 0 || start < events.length; start += EVENTS_MESSAGE) {
    const end = start + EVENTS_MESSAGE;
    yield { events: events.slice(start, end), more: end < events.length };
  }
}
