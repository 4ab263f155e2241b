/** What `kasane logs` and `kasane top` make of recorded events. */
import { Event } from '@kasane/protocol/gen/kasane/v1/jobs';
import { expect, it } from 'vitest';
import { eventLine, eventRecord } from '../src/commands/logs/logs.ts';
import { moment } from '../src/render/table.ts';

const waiting = Event.fromPartial({
  ...{ number: 7, job: 'x-1', time: 5000, code: 'waiting', args: '{}' },
  reason: { code: 'no-worker', args: '{"step":3}', text: 'step 3: no worker is connected' },
  text: 'waiting: step 3: no worker is connected',
});

it('has code, arguments, reason and sentence', () => {
  expect(eventRecord(waiting)).toEqual({
    ...{ time: '1970-01-01T00:00:05.000Z', event: 'waiting', args: {} },
    message: 'waiting: step 3: no worker is connected',
    reason: { code: 'no-worker', args: { step: 3 } },
  });
  const time = moment('1970-01-01T00:00:05.000Z');
  expect(eventLine(eventRecord(waiting))).toBe(`${time}  waiting: step 3: no worker is connected`);
  expect(eventLine(eventRecord(waiting), 'x-1')).toMatch(/ {2}x-1 {2}waiting: step 3/);
});

it('does not make up a time that is not known', () => {
  const old = eventRecord(Event.fromPartial({ ...waiting, time: 0, text: 'epoch 1/3' }));
  expect(old.time).toBeNull();
  const line = eventLine(old);
  expect(line).toMatch(/^- {20}epoch 1\/3$/);
  expect(line).toHaveLength(eventLine(eventRecord(waiting)).indexOf('waiting') + 'epoch 1/3'.length);
});

it('shows an event of a newer coordinator by its sentence', () => {
  const newer = Event.fromPartial({ ...waiting, code: 'of-later', args: '', text: 'the moon is full' });
  expect(eventRecord(newer)).toMatchObject({ event: 'of-later', args: {}, message: 'the moon is full' });
});
