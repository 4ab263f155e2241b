/** Classes that are numbers keep the order of text, as in other programs, and that is said where it is not theirs. */
import { describe, expect, it } from 'vitest';
import type { DataParts, Dataset } from '../src/dataset.ts';
import { orderOfNumbers } from '../src/one-target.ts';

const notes = (classes: string[]) => {
  const part = {} as Dataset;
  return orderOfNumbers({ train: part, test: part, preparation: { classes } } as DataParts);
};

describe('a note on the order of classes', () => {
  it('says which number each has', () => {
    expect(notes(['10', '11', '8', '9'])).toEqual([
      expect.stringMatching(
        /^classes are numbered in the order of their names as text: class 0 is '10', class 1 is '11', class 2 is '8', class 3 is '9'\. /,
      ),
    ]);
    expect(notes(['1', '10', '2', '3', '4', '5', '6']).join()).toContain("class 4 is '4', and 2 more. ");
  });

  it.each([[['0', '1', '2']], [['08', '09', '10']], [['10', '9', 'x']], [['a', 'b']], [['1.5', '10', '2']]])(
    'is not there for %j',
    (classes) => {
      expect(notes(classes)).toEqual([]);
    },
  );
});
