/** CONTRIBUTING.md names files by paths from packages/: they are there, and each way through the code is short and enters none twice. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { checkout } from './support/image.ts';

const page = readFileSync(join(checkout, 'CONTRIBUTING.md'), 'utf8');
const pathsIn = (text: string) =>
  [...text.matchAll(/`([a-z]+\/(?:src|test)\/[\w./-]+)`/g)].map(([, path]) => path!);

it('names files that are there', () => {
  const paths = pathsIn(page);
  expect(paths.length).toBeGreaterThan(40);
  expect(paths.filter((path) => !existsSync(join(checkout, 'packages', path)))).toEqual([]);
});

it.each(['The text of a job', 'A batch', 'A gradient'])(
  '%s takes twelve steps at most, none twice',
  (way) => {
    const [list] = page
      .slice(page.indexOf(`**${way}**`))
      .split('\n\n')
      .slice(1);
    const steps = list!.split('\n');
    expect(steps.length).toBeLessThanOrEqual(12);
    const entered = steps.map((step) => pathsIn(step)[0]);
    expect(entered).not.toContain(undefined);
    const all = steps.flatMap(pathsIn);
    expect(new Set(all).size).toBe(all.length);
  },
);
