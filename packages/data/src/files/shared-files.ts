/**
 * One file at several places, by symbolic or hard links. Its sample would have two labels, count twice, or be both trained and tested on:
 * results would look like results, and be none.
 */
import { lstatSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { counted } from '@kasane/tensor/internal/counted';

/** A file of a data set. */
export interface Labelled {
  readonly path: string;
  /** Its class; empty where there are none. */
  readonly label: string;
}

/** What a part of a data set is made of. */
export interface FilesOf {
  readonly folder: string;
  readonly files: readonly Labelled[];
}

export interface LeftOut {
  /** Paths that are not used. */
  readonly paths: ReadonlySet<string>;
  /** What is wrong and how to decide it, a sentence each. */
  readonly problems: readonly string[];
  /** How many of them are no problem: another place of the same file, in the same class, is used. */
  readonly repeated: number;
  readonly notes: readonly string[];
}

interface Place extends Labelled {
  /** Two places of one file have the same. */
  readonly file: string;
  /** The topmost link that leads to it, below the folder. */
  readonly link: string | undefined;
  readonly hard: boolean;
}

interface Folder {
  readonly real: string;
  readonly link: string | undefined;
}

/** Where files are, links followed. */
function placesOf({ folder, files }: FilesOf): Place[] {
  const folders = new Map<string, Folder>();
  folders.set(joined(folder), { real: realpathSync(folder), link: undefined });
  const look = (at: string): Folder => {
    const known = folders.get(at);
    if (known) return known;
    const above = look(dirname(at));
    const linked = lstatSync(at).isSymbolicLink();
    const real = linked ? realpathSync(at) : join(above.real, basename(at));
    const found = { real, link: above.link ?? (linked ? at : undefined) };
    folders.set(at, found);
    return found;
  };
  return files.flatMap(({ path, label }) => {
    try {
      const { real, link } = look(dirname(path));
      const own = lstatSync(path, { bigint: true });
      const linked = own.isSymbolicLink();
      const target = linked ? realpathSync(path) : join(real, basename(path));
      const { nlink, dev, ino } = linked ? lstatSync(target, { bigint: true }) : own;
      // Numbers of files are compared for hard links only: some network shares make them up.
      const hard = nlink > 1n;
      return {
        ...{ path, label, hard, file: hard ? `${dev}:${ino}` : target },
        link: link ?? (linked ? path : undefined),
      };
    } catch {
      // It has gone since it was listed: whoever reads it says so.
      return [];
    }
  });
}

/** Sentences about places that have the same cause, with the number of files. */
export class Causes {
  readonly #causes = new Map<string, { files: number; labels: Set<string>; say: Say }>();

  add(key: readonly (string | undefined)[], labels: readonly string[], say: Say): void {
    const id = JSON.stringify(key);
    const cause = this.#causes.get(id) ?? { files: 0, labels: new Set<string>(), say };
    cause.files++;
    for (const label of labels) cause.labels.add(label);
    this.#causes.set(id, cause);
  }

  sentences(): string[] {
    return [...this.#causes.values()].map(({ files, labels, say }) =>
      say(files, [...labels].map((label) => `'${label}'`).join(' and ')),
    );
  }
}
type Say = (files: number, labels: string) => string;

const many = (files: number, what: string) => counted(files, what.slice(0, -1), what);
/** Two places that are one file: by name, or many of them by what leads to them. */
const both = (one: Place, other: Place, files: number): string =>
  [one, other].map(({ link, path }) => link ?? (files === 1 ? path : dirname(path))).join(' and ');

/**
 * Of a part: a file under two labels keeps the one of the class it lies in, where only links say another; else nobody knows, and it is left
 * out of both. A file that is several times in one class is used once.
 * @param what the files are, such as 'images'
 */
export function leaveOutShared(part: FilesOf, what: string): LeftOut {
  const paths = new Set<string>();
  const causes = new Causes();
  let repeated = 0;
  for (const places of Map.groupBy(placesOf(part), ({ file }) => file).values()) {
    if (places.length === 1) continue;
    const direct = places.filter(({ link }) => link === undefined);
    const sure = new Set((direct.length > 0 ? direct : places).map(({ label }) => label)).size === 1;
    const own = direct[0] ?? places[0]!;
    for (const place of places) {
      if (sure && place === own) continue;
      paths.add(place.path);
      if (!sure) continue;
      if (place.label === own.label) repeated++;
      else
        causes.add([place.link, place.label], [own.label], (files, labels) => {
          const get = `which would also get the label '${place.label}'`;
          return `${place.link}: it is a link to ${many(files, what)} of ${labels}, ${get}. Remove the link`;
        });
    }
    if (sure) continue;
    const [one, other] = twoOf(direct.length > 0 ? direct : places);
    const kind = one.link === undefined ? 'hard links' : 'links';
    const key = [one, other].map(({ link, path }) => link ?? dirname(path));
    causes.add([...key, one.label, other.label], [one.label, other.label], (files, labels) => {
      const get = `which would get the labels ${labels}`;
      const remove = `Remove the ${files === 1 ? 'link' : 'links'} in the wrong class`;
      return `${both(one, other, files)}: ${kind} to the same ${many(files, what)}, ${get}. ${remove}`;
    });
  }
  const are =
    repeated === 1
      ? 'is ignored, because it is a link to another one in use'
      : 'are ignored, because they are links to others in use';
  const notes = repeated === 0 ? [] : [`${part.folder}: ${many(repeated, what)} ${are}`];
  return { paths, problems: causes.sentences(), repeated, notes };
}

/** The first, and the first with another label. */
export function twoOf<P extends Labelled>(places: readonly P[]): [P, P] {
  const [one] = places;
  return [one!, places.find(({ label }) => label !== one!.label)!];
}

/**
 * Of two parts: a file in both is left out of the training part, so that a test says what it is to say; where its labels differ, of both.
 * @param what the files are, such as 'images'
 */
export function leaveOutTested(
  train: FilesOf,
  test: FilesOf,
  what: string,
): { readonly paths: ReadonlySet<string>; readonly problems: readonly string[] } {
  const paths = new Set<string>();
  const causes = new Causes();
  const tested = new Map(placesOf(test).map((place) => [place.file, place]));
  for (const place of placesOf(train)) {
    const twin = tested.get(place.file);
    if (!twin) continue;
    paths.add(place.path);
    if (twin.label !== place.label) paths.add(twin.path);
    const link = place.link ?? twin.link ?? [train, test].find(({ folder }) => isLink(folder))?.folder;
    const labels = twin.label === place.label ? [] : [place.label, twin.label];
    const key = link === undefined ? [dirname(place.path), dirname(twin.path)] : [link];
    causes.add(key, labels, (files, named) => {
      const wrong = `in both the training and the test set${named === '' ? '' : `, with the labels ${named}`}`;
      if (link !== undefined)
        return `${link}: because of this link, ${many(files, what)} would be ${wrong}. Remove the link`;
      const kind = place.hard ? 'hard links' : 'paths';
      const remove = place.hard
        ? `Remove the ${files === 1 ? 'link' : 'links'} in one of them`
        : 'Set data.test to other files';
      return `${both(place, twin, files)}: ${kind} to the same ${many(files, what)}, which would be ${wrong}. ${remove}`;
    });
  }
  return { paths, problems: causes.sentences() };
}

/** The note where a job names the same data for both parts: it may mean it. */
export const testsOnTraining = (path: string): string =>
  `${path}: data.test is the training data, so test results say nothing about new data`;

/** A folder as `join` writes it in the paths of what it holds. */
const joined = (folder: string): string => dirname(join(folder, 'file'));
const isLink = (folder: string): boolean => lstatSync(joined(folder)).isSymbolicLink();
