/**
 * Pictures that lie in a data set as files of their own, byte for byte the same. Under two labels one of them is wrong; in training and test
 * data a test says less than it seems to.
 */
import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import { counted } from '@kasane/tensor/internal/counted';
import { readRegular } from '../files/regular-file.ts';
import { Causes, type Labelled, twoOf } from '../files/shared-files.ts';
import type { Print } from './image-check.ts';
import { FILE_BYTES } from './image-decode.ts';

/** A picture whose beginning was looked at. */
export interface Printed extends Labelled {
  readonly print: Print;
}

/** Bytes of files that are read whole to compare them: beginnings that are the same hardly ever belong to two pictures. */
const COMPARED_BYTES = 256 << 20;

/**
 * Pictures of one content each, in the order given, of those that differ in something.
 * @param differ what must differ among those of one content, such as their labels
 */
async function sameOnes<P extends Printed>(
  pictures: readonly P[],
  differ: (one: P) => string,
): Promise<P[][]> {
  const differing = (some: readonly P[]) => some.length > 1 && new Set(some.map(differ)).size > 1;
  const alike = [...Map.groupBy(pictures, ({ print }) => print.digest).values()].filter(differing);
  const same: P[][] = [];
  let left = COMPARED_BYTES;
  for (const some of alike) {
    const [{ print }] = some as [P];
    if (print.isWhole) {
      same.push(some);
      continue;
    }
    left -= print.size * some.length;
    if (left < 0) break;
    const contents: (readonly [P, string])[] = [];
    for (const one of some) contents.push([one, await digestOf(one.path)]);
    const groups = Map.groupBy(contents, ([, digest]) => digest);
    same.push(...[...groups.values()].map((group) => group.map(([one]) => one)).filter(differing));
  }
  return same;
}

const digestOf = async (path: string): Promise<string> =>
  createHash('sha256')
    .update(await readRegular(path, FILE_BYTES))
    .digest('base64');

/** Of one part: pictures under two labels, of which nobody knows the right one. */
export async function contradicting(
  pictures: readonly Printed[],
): Promise<{ readonly paths: ReadonlySet<string>; readonly problems: readonly string[] }> {
  const same = await sameOnes(pictures, ({ label }) => label);
  const causes = new Causes();
  for (const some of same) {
    const [one, other] = twoOf(some);
    const key = [dirname(one.path), one.label, dirname(other.path), other.label];
    causes.add(key, [one.label, other.label], (pairs, labels) =>
      pairs === 1
        ? `${one.path} and ${other.path}: the same image with the labels ${labels}. Keep it only in the right class`
        : `${one.path} and ${other.path}, and ${counted(pairs - 1, 'more pair')} in these folders: each pair is the same image with the labels ${labels}. Keep each only in the right class`,
    );
  }
  return { paths: new Set(same.flat().map(({ path }) => path)), problems: causes.sentences() };
}

/** A note of pictures that are both trained and tested on; none where no picture is. */
export async function testedCopies(train: readonly Printed[], test: readonly Printed[]): Promise<string[]> {
  const all = [
    ...train.map((one) => ({ ...one, part: 'train' })),
    ...test.map((one) => ({ ...one, part: 'test' })),
  ];
  const same = await sameOnes(all, ({ part }) => part);
  if (same.length === 0) return [];
  const [first] = same;
  const one = first!.find(({ part }) => part === 'train')!;
  const twins = first!.filter(({ part }) => part === 'test');
  const twin = twins.find(({ label }) => label !== one.label) ?? twins[0]!;
  const others = same.length === 1 ? '' : `, and ${counted(same.length - 1, 'more image')} like it`;
  const labels = twin.label === one.label ? '' : ` with the labels '${one.label}' and '${twin.label}'`;
  return [
    `${one.path} and ${twin.path}: the same image${others}, in both the training and the test set${labels}, so test results look better than they are. Keep one of the two`,
  ];
}
