/**
 * Jobs that programs write: the file runs here, on its author's machine, in this process, as Node runs any module. What comes out is data,
 * and only that goes further.
 */
import { basename, extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { isFields } from '@kasane/protocol/internal/job/fields';
import { kindOfPath } from '@kasane/tensor/internal/node/regular-file';

/** Whether a file is a program, by its name. */
export const isProgram = (path: string): boolean => /\.[cm]?[jt]s$/i.test(path);

/**
 * The job that a file exports by default; of a model alone, the job that is named like the file.
 * @throws KasaneError NO_INPUT when there is no such file; JOB_INVALID when it fails, or exports nothing that is a job
 */
export async function readProgram(path: string): Promise<unknown> {
  if (kindOfPath(path) === 'nothing') throw new KasaneError('NO_INPUT', `${path}: file not found`);
  const found = await run(path);
  const value: unknown = found.default;
  if (!isFields(value)) {
    const came =
      value === undefined ? noDefault(Object.keys(found)) : `its default export is ${kindOf(value)}`;
    throw refuse(
      path,
      `${came}; export a job: \`export default { name, model: defineModel({ ... }), data }\``,
    );
  }
  const job = asData(path, value);
  if (!('layers' in job) || 'model' in job) return job;
  return { name: basename(path, extname(path)).replace(/\W+/g, '-'), model: job };
}

const refuse = (path: string, why: string, cause?: unknown) =>
  new KasaneError('JOB_INVALID', `${path}: ${why}`, { cause });

async function run(path: string): Promise<{ readonly default?: unknown }> {
  try {
    return (await import(pathToFileURL(resolve(path)).href)) as { default?: unknown };
  } catch (cause) {
    const message = messageOf(cause);
    const missing = /Cannot find package '(@kasane\/\w+)'/.exec(message)?.[1];
    if (missing !== undefined)
      throw refuse(
        path,
        `it imports ${missing}, which is not installed there: run \`npm install @kasane/client @kasane/tensor\` in its folder`,
        cause,
      );
    throw refuse(path, `it failed: ${message}`, cause);
  }
}

const noDefault = (names: readonly string[]): string =>
  names.length === 0
    ? 'it exports nothing'
    : `it exports ${names.slice(0, 5).join(', ')}, but nothing by default`;

const kindOf = (value: unknown): string =>
  value === null
    ? 'null'
    : Array.isArray(value)
      ? 'a list'
      : typeof value === 'function'
        ? 'a function'
        : `a ${typeof value}`;

/** What of a job travels. */
function asData(path: string, value: object): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(JSON.stringify(value)) as Readonly<Record<string, unknown>>;
  } catch (cause) {
    throw refuse(path, `its default export is no data: ${messageOf(cause)}`, cause);
  }
}
