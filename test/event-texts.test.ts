/** Every event has a sentence in English and one in Japanese, which say all that is known; they come over a wire as they were. */
import { Event } from '@kasane/protocol/gen/kasane/v1/jobs';
import {
  type EventCode,
  eventSentence,
  events,
  japaneseEvents,
  type KnownEvent,
  knownEvent,
  toldInJapanese,
} from '@kasane/protocol/internal/events/events';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arbitraryOf, englishIn, leaves } from './support/forms.ts';

const codes = Object.keys(events) as EventCode[];
const argsOf = (code: EventCode) => arbitraryOf(events[code].args) as fc.Arbitrary<object>;
const eventOf = (code: EventCode, args: object) => ({ code, args }) as KnownEvent;

describe.each(codes)('%s', (code) => {
  it('says its arguments and its reason in both languages', () => {
    fc.assert(
      fc.property(argsOf(code), (args) => {
        const said = [undefined, japaneseEvents].map((texts) =>
          eventSentence(eventOf(code, args), '123456789', texts),
        );
        for (const sentence of said) {
          for (const leaf of leaves(args, events[code].args)) expect(sentence).toContain(leaf);
          expect(sentence.includes('123456789')).toBe(events[code].because);
        }
        expect(said[1]).toMatch(/[ぁ-んァ-ン一-龠]/);
        expect(englishIn(said[1]!)).toEqual([]);
      }),
      { numRuns: 30 },
    );
  });

  it('comes over a wire as it was', () => {
    fc.assert(
      fc.property(argsOf(code), (args) => {
        const sent = { number: 1, job: 'j', time: 2, code, args: JSON.stringify(args), reason: undefined };
        const came = Event.decode(Event.encode({ ...sent, text: 'a sentence' }).finish());
        expect(knownEvent(came)).toEqual({ code, args });
        expect(toldInJapanese(came)).not.toBe('a sentence');
      }),
      { numRuns: 30 },
    );
  });
});

it.each([
  ['of a later version', 'moon-full', '{"phase":4}'],
  ['with other arguments', 'paused', '{"task":"x"}'],
  ['with arguments that were too long to be kept', 'failed', ''],
  ['with the name of what every object has', 'toString', '{}'],
])('an event %s is shown as the sentence that came', (_, code, args) => {
  const came = Event.fromPartial({ code, args, text: 'the moon is full' });
  expect(knownEvent(came)).toBeUndefined();
  expect(toldInJapanese(came)).toBe('the moon is full');
});

it('an epoch whose numbers are not finite is told', () => {
  const args = { epoch: 1, epochs: 2, metric: 'fraction', seconds: 1, trainLoss: 1, trainMetric: 0.5 };
  const json = JSON.stringify({ ...args, testLoss: Number.POSITIVE_INFINITY, testMetric: Number.NaN });
  const known = knownEvent({ code: 'epoch', args: json })!;
  expect(eventSentence(known, '')).toBe(
    'epoch 1/2: loss 1.0000, accuracy 50.00 %; test loss NaN, test accuracy NaN; 1.0 s',
  );
});
