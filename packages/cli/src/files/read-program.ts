/**
 * Jobs that programs write: the file runs here, on its author's machine, as Node runs any module, in a thread of its own. What comes out is
 * data, and only that goes further.
 */
import { basename, extname, relative, resolve } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { kindOfPath, statRegular } from '@kasane/tensor/internal/node/regular-file';
import { answerOf, type NoAnswer } from '@kasane/tensor/internal/node/thread-answer';
import { err } from '../output/say.ts';
import type { ProgramAnswer } from './program-thread.ts';

/** Whether a file is a program, by its name. */
export const isProgram = (path: string): boolean => /\.[cm]?[jt]s$/i.test(path);

/** Time after which it is said that a program still runs. */
const LONG_MS = 10_000;

/**
 * The job that a file exports by default; of a model alone, the job that is named like the file.
 * @throws KasaneError NO_INPUT when there is no such file; JOB_INVALID when it fails, or exports nothing that is a job
 */
export async function readProgram(path: string): Promise<unknown> {
  if (kindOfPath(path) === 'nothing') throw new KasaneError('NO_INPUT', `${path}: file not found`);
  try {
    statRegular(path);
  } catch (cause) {
    throw new KasaneError('JOB_INVALID', messageOf(cause), { cause });
  }
  const answer = await run(path);
  if ('refused' in answer) throw refuse(shownPlace(path, answer.line), reasonOf(answer));
  const { job } = answer;
  if ('extends' in job)
    throw refuse(
      path,
      'extends: a program writes the whole job; import what it builds on, or use a job file',
    );
  if (!('layers' in job) || 'model' in job) return job;
  return { name: basename(path, extname(path)).replace(/\W+/g, '-'), model: job };
}

const refuse = (where: string, why: string) => new KasaneError('JOB_INVALID', `${where}: ${why}`);

/** A line of the file by the path that was given; that of another file from here. */
function shownPlace(path: string, line: string | undefined): string {
  if (line === undefined) return path;
  const [, file = '', number] = /^(.*):(\d+)$/.exec(line) ?? [];
  return `${file === resolve(path) ? path : relative('', file)}:${number}`;
}

const reasonOf = ({ refused, lacks }: Extract<ProgramAnswer, { refused: string }>): string =>
  lacks === undefined
    ? refused
    : `it imports ${lacks}, which is not installed there: run \`npm install @kasane/client @kasane/tensor\` in its folder`;

async function run(path: string): Promise<ProgramAnswer> {
  const file = import.meta.url.endsWith('.ts') ? './program-thread.ts' : './program-thread.js';
  const thread = new Worker(new URL(file, import.meta.url), {
    workerData: { url: pathToFileURL(resolve(path)).href },
    // What the program prints is no result of the command's.
    stdout: true,
    stderr: true,
  });
  for (const stream of [thread.stdout, thread.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => err.write(text));
  let exitCode = 0;
  thread.on('exit', (code) => {
    exitCode = code;
  });
  const slow = setTimeout(
    () => err.lines(`${path} has been running for ${LONG_MS / 1000} s; stop it with Ctrl-C`),
    LONG_MS,
  );
  try {
    const answer = await answerOf<ProgramAnswer>(thread, (why) => refuse(path, whyNone(why, exitCode)));
    await nextTurn();
    return answer;
  } finally {
    clearTimeout(slow);
    // It may have timers, servers or loops.
    await thread.terminate();
  }
}

function whyNone(why: NoAnswer, exitCode: number): string {
  if (why === 'memory') return 'it ran out of memory before it exported a job: look for an endless loop';
  return `it ended (exit code ${exitCode}) before it exported a job: remove process.exit`;
}
