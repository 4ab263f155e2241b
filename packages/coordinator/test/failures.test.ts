import { describe, expect, it } from 'vitest';
import { defaultDecideOptions } from '../src/steps/decide.ts';
import { type Failure, failureOf, saidBy } from '../src/steps/failures.ts';

const many = [...'abcdefghijklmnopqrst'];
const failed = (kind: Failure['kind'], ...workers: string[]): Failure[] =>
  workers.map((worker, index) => ({ worker, attempt: index + 1, kind, why: `${worker} failed` }));

/** What comes of failures at a shard. @param able a letter for each worker */
function judged(
  failures: readonly Failure[],
  able: string,
  { proven = '', idle = '', holding = '' }: { proven?: string; idle?: string; holding?: string } = {},
): 'asks others' | 'fails' | 'not finite' {
  const judges = { able: [...able], proven: new Set(proven), idle: new Set(idle) };
  const found = failureOf(failures, new Set(holding), judges, defaultDecideOptions);
  if (!found) return 'asks others';
  return found.notFinite ? 'not finite' : 'fails';
}

const often = (worker: string, times: number) => new Array<string>(times).fill(worker);

describe('a computation that throws', () => {
  it('on three workers, or six times, where there is nobody else to ask', () => {
    expect(judged(failed('threw', 'a', 'b'), 'ab')).toBe('asks others');
    expect(judged(failed('threw', 'a', 'b', 'c'), 'abc')).toBe('fails');
    expect(judged(failed('threw', ...often('a', 5)), 'a')).toBe('asks others');
    expect(judged(failed('threw', ...often('a', 6)), 'a')).toBe('fails');
  });

  it('is not believed of any number of names while one that can be asked has not tried', () => {
    expect(judged(failed('threw', ...often('a', 60)), 'ab')).toBe('asks others');
    expect(judged(failed('threw', ...many), `${many.join('')}z`)).toBe('asks others');
    // Who took nothing for long is not asked any more, unless it computes the shard now.
    expect(judged(failed('threw', ...many), `${many.join('')}z`, { idle: 'z' })).toBe('fails');
    expect(judged(failed('threw', ...many), `${many.join('')}z`, { idle: 'z', holding: 'z' })).toBe(
      'asks others',
    );
  });

  it('is for those to say whose answers have counted, and of many some are enough', () => {
    expect(judged(failed('threw', ...many), `${many.join('')}z`, { proven: 'z', idle: 'z' })).toBe(
      'asks others',
    );
    const all = { proven: many.join('') };
    expect(judged(failed('threw', ...many.slice(0, 7)), all.proven, all)).toBe('asks others');
    expect(judged(failed('threw', ...many.slice(0, 8)), all.proven, all)).toBe('fails');
  });
});

describe('numbers that are not finite', () => {
  it('twice, where there is nobody else to ask', () => {
    expect(judged(failed('not finite', 'a'), 'a')).toBe('asks others');
    expect(judged(failed('not finite', 'a', 'a'), 'a')).toBe('not finite');
    expect(judged(failed('not finite', 'a', 'b'), 'ab')).toBe('not finite');
    expect(judged(failed('not finite', 'a', 'b', 'c'), 'abc', { proven: 'abc' })).toBe('not finite');
  });

  it('are not believed of any number of names while one that can be asked has said no such thing', () => {
    expect(judged(failed('not finite', ...many), `${many.join('')}z`)).toBe('asks others');
    const replaced = [...failed('damaged', 'z'), ...failed('not finite', ...often('a', 5))];
    expect(judged(replaced, 'az')).toBe('asks others');
  });
});

it("a batch that is damaged is nobody's failure, until it is at each of them again and again", () => {
  expect(judged(failed('damaged', ...often('a', 5)), 'a')).toBe('asks others');
  expect(judged(failed('damaged', ...often('a', 6)), 'a')).toBe('fails');
  expect(judged(failed('damaged', ...often('a', 60)), 'ab')).toBe('asks others');
  expect(judged(failed('damaged', 'a', 'b', 'a', 'b', 'a', 'b'), 'ab')).toBe('fails');
});

it('a reason that several workers give is said once', () => {
  const said = [
    ['a', 'the loss is NaN'],
    ['b', 'the loss is Infinity'],
    ['c', 'the loss is NaN'],
  ] as const;
  expect(saidBy(said)).toEqual([
    { why: 'the loss is NaN', workers: ['a', 'c'] },
    { why: 'the loss is Infinity', workers: ['b'] },
  ]);
});
