/** Class folders: one folder a class, path/cat/1.jpg. Images and texts are sorted into them in the same way. */
import { basename, resolve } from 'node:path';
import { DataError } from '../dataset.ts';
import { filesBelow, listData, shownName } from './folder.ts';
import { type FilesOf, leaveOutShared, leaveOutTested, testsOnTraining } from './shared-files.ts';

export interface ClassFolder {
  readonly name: string;
  readonly path: string;
  /** All that is in it and below, in order of their names. */
  readonly files: readonly string[];
}

export interface ClassFolders {
  readonly folder: string;
  /** In order of their names: its place is a class's number. */
  readonly groups: readonly ClassFolder[];
  /** What can not be read: `path: why`. */
  readonly problems: readonly string[];
  /** Files that problems are about and that are in no group any more. */
  readonly leftOut: number;
  readonly notes: readonly string[];
}

/**
 * @param what is expected in them, such as 'images'
 * @param isOne whether a file is one of those
 * @param used false of what is left out, such as a test folder inside
 * @throws DataError when there are no class folders, or names that nobody can tell apart
 */
export function readClassFolders(
  folder: string,
  what: string,
  isOne: (file: string) => boolean,
  used: (path: string) => boolean,
): ClassFolders {
  const { folders, files, problems } = listData(folder);
  const loose = files.filter(isOne).length;
  const groups = folders.filter(used).map((path) => {
    const below = filesBelow(path);
    return {
      name: shownName(basename(path)),
      path,
      files: below.files.filter(used),
      problems: below.problems.filter((problem) => used(problem.slice(0, problem.indexOf(': ')))),
    };
  });
  if (groups.length === 0) {
    const instead = loose > 0 ? `it has ${loose} ${what} and no folders` : 'it has no folders';
    const cure =
      loose > 0
        ? `Move them into folders named after their classes; if this includes a test set without labels, set data.path to the folder of the training set`
        : 'Create one folder per class';
    throw new DataError(`${folder}: ${instead}; expected one folder per class, with its ${what}. ${cure}`);
  }
  const twice = groups.find(({ name }, index) => groups[index - 1]?.name === name);
  if (twice) {
    throw new DataError(
      `${folder}: two folders are named '${twice.name}', with accents encoded differently (NFC and NFD). Merge them, or rename one`,
    );
  }
  const shared = leaveOutShared({ folder, files: labelled(groups, isOne) }, what);
  const notes = [...alike(folder, groups), ...shared.notes];
  if (loose > 0) {
    notes.push(
      `${folder}: ${loose} ${what} next to the class folders are ignored; move them into a class folder`,
    );
  }
  const all = [...problems, ...groups.flatMap((group) => group.problems), ...shared.problems];
  return without(shared.paths, { folder, groups, problems: all, leftOut: -shared.repeated, notes });
}

/**
 * Two parts of a data set, without the files that are in both: what is trained on says nothing in a test.
 * @param isOne as of `readClassFolders`
 */
export function keepApart(
  train: ClassFolders,
  test: ClassFolders,
  what: string,
  isOne: (file: string) => boolean,
): { readonly train: ClassFolders; readonly test: ClassFolders } {
  if (resolve(train.folder) === resolve(test.folder)) {
    const notes = [...train.notes, testsOnTraining(train.folder)];
    return { train: { ...train, notes }, test };
  }
  const filesOf = ({ folder, groups }: ClassFolders): FilesOf => ({ folder, files: labelled(groups, isOne) });
  const { paths, problems } = leaveOutTested(filesOf(train), filesOf(test), what);
  return {
    train: without(paths, { ...train, problems: [...train.problems, ...problems] }),
    test: without(paths, test),
  };
}

const labelled = (groups: readonly ClassFolder[], isOne: (file: string) => boolean) =>
  groups.flatMap(({ name, files }) => files.filter(isOne).map((path) => ({ path, label: name })));

/** A class of which nothing is left is none: why, the problems say. */
function without(paths: ReadonlySet<string>, found: ClassFolders): ClassFolders {
  if (paths.size === 0) return found;
  let { leftOut } = found;
  const groups = found.groups.flatMap((group) => {
    const files = group.files.filter((file) => !paths.has(file));
    leftOut += group.files.length - files.length;
    return files.length > 0 || group.files.length === 0 ? [{ ...group, files }] : [];
  });
  return { ...found, groups, leftOut };
}

function alike(folder: string, groups: readonly ClassFolder[]): string[] {
  return [...Map.groupBy(groups, ({ name }) => name.toLowerCase()).values()]
    .filter(({ length }) => length > 1)
    .map((same) => {
      const names = same.map(({ name }) => `'${name}'`).join(' and ');
      return `${folder}: the class names ${names} differ only in case; merge the folders if they are one class`;
    });
}

/** @throws DataError when there is only one class: nothing can be learnt from it */
export function checkClassCount(
  folder: string,
  classes: readonly string[],
  groups: readonly ClassFolder[],
): void {
  if (classes.length !== 1) return;
  const [only] = groups;
  const inner = only && groups.length === 1 ? listData(only.path).folders : [];
  const hint =
    inner.length > 1
      ? `It contains ${inner.length} folders: if those are the classes, set data.path: ${only!.path}`
      : `Add samples of another class${groups.length > 0 ? ', in a folder next to it' : ''}`;
  throw new DataError(`${folder}: '${classes[0]}' is the only class; expected at least two. ${hint}`);
}

/**
 * Numbers of a test part's classes among those of the training part.
 * @throws DataError naming one that is not there
 */
export function numberClasses(
  own: readonly string[],
  classes: readonly string[],
  folder: string,
  trained: string,
): number[] {
  return own.map((name) => {
    const number = classes.indexOf(name);
    if (number >= 0) return number;
    const like = classes.find((other) => other.toLowerCase() === name.toLowerCase());
    const hint = like === undefined ? '' : `, but '${like}' is: rename one of them`;
    throw new DataError(`${folder}: class '${name}' is not among the classes of ${trained}${hint}`);
  });
}
