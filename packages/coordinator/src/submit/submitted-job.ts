/**
 * Makes a job of the file that somebody submits. Size comes first: what is too large is refused before any of it is parsed. YAML of more
 * than a few kilobytes is parsed in a thread, because others wait for the event loop; callers take turns there.
 */
import { Worker } from 'node:worker_threads';
import { KasaneError } from '@kasane/protocol/errors';
import type { Sweep } from '@kasane/protocol/internal/job/job-search';
import { checkJob, type Job } from '@kasane/protocol/job';
import {
  JOB_FILE_BYTES,
  JOB_FILE_DEPTH,
  JOB_FILE_TOKENS,
  PARSING,
  PARSING_PER_CALLER,
  SPEC_BYTES,
} from '@kasane/protocol/limits';
import { answerOf } from '@kasane/tensor/internal/node/thread-answer';
import { type Asker, CallerTurns } from './caller-turns.ts';
import type { JobFileAnswer, JobFileRequest } from './job-file-thread.ts';

/** Parsing so many characters takes up to 20 ms; starting a thread takes a few, and some of another core. */
const FEW_CHARACTERS = 8 << 10;

/** The thread ends when no file has come for so long, in milliseconds: it takes memory. */
const WARM_MS = 30_000;

/** The files that are submitted to one coordinator. */
export class SubmittedFiles {
  readonly #turns = new CallerTurns({
    what: 'job files',
    atOnce: 1,
    perCaller: PARSING_PER_CALLER,
    all: PARSING,
  });
  #thread: Worker | undefined;
  #cooling: NodeJS.Timeout | undefined;

  /**
   * The job of a file. It waits its turn behind the files of others where it needs long to parse.
   * @throws KasaneError JOB_INVALID, LIMIT, and UNREACHABLE when the client is gone before it is parsed
   */
  async job(file: string, asker: Asker): Promise<Job> {
    checkJobFileSize(file);
    const job = writtenByProgram(file);
    if (job) return job;
    if (file.length > FEW_CHARACTERS) {
      const spec = await this.#turns.run(asker, () => this.#parseApart({ kind: 'job', text: file }));
      // It has been checked; models cannot be handed over, and are built again.
      return checkJob(JSON.parse(spec));
    }
    const { parseJobFile } = await import('@kasane/protocol/job-file');
    return parseJobFile(file, 'job file');
  }

  /**
   * The sweep of a file, whose check builds many models.
   * @throws KasaneError JOB_INVALID, LIMIT, and UNREACHABLE when the client is gone before it is parsed
   */
  async sweep(file: string, asker: Asker): Promise<Sweep> {
    checkJobFileSize(file);
    const request = { kind: 'sweep', text: file } as const;
    return JSON.parse(await this.#turns.run(asker, () => this.#parseApart(request))) as Sweep;
  }

  async #parseApart(request: JobFileRequest): Promise<string> {
    clearTimeout(this.#cooling);
    const thread = this.#started();
    const answered = answerOf<JobFileAnswer>(thread, (why) =>
      why === 'memory'
        ? new KasaneError('LIMIT', 'job file: not enough memory to parse it. Use a smaller file')
        : new Error('the thread that parses a job file exited'),
    );
    thread.ref();
    thread.postMessage(request);
    const answer = await answered.finally(() => this.#rest(thread));
    if ('refused' in answer) throw new KasaneError(answer.code, answer.refused);
    return answer.checked;
  }

  #started(): Worker {
    if (this.#thread) return this.#thread;
    const file = import.meta.url.endsWith('.ts') ? './job-file-thread.ts' : './job-file-thread.js';
    const thread = new Worker(new URL(file, import.meta.url));
    const over = () => {
      if (this.#thread === thread) this.#thread = undefined;
    };
    // Whoever waits for it hears why.
    thread.on('error', over).on('exit', over);
    this.#thread = thread;
    return thread;
  }

  /** It waits for the next file, and keeps nothing running meanwhile. */
  #rest(thread: Worker): void {
    thread.unref();
    clearTimeout(this.#cooling);
    this.#cooling = setTimeout(() => this.close(), WARM_MS).unref();
  }

  /** Ends the thread; with the next file another one starts. */
  close(): void {
    clearTimeout(this.#cooling);
    void this.#thread?.terminate();
    this.#thread = undefined;
  }
}

/** @throws KasaneError LIMIT */
function checkJobFileSize(file: string): void {
  const bytes = Buffer.byteLength(file);
  if (bytes > JOB_FILE_BYTES)
    throw new KasaneError('LIMIT', `job file: ${bytes} bytes; at most ${JOB_FILE_BYTES} are allowed`);
}

/** A job file as programs write it, which needs no YAML. Undefined: it is another, or something is wrong with it. */
function writtenByProgram(file: string): Job | undefined {
  if (!isModest(file)) return undefined;
  try {
    const value = JSON.parse(file);
    // So no key is there twice.
    return JSON.stringify(value) === file ? checkJob(value) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether it is nested, and has values, as a job may be: what is not takes `JSON.parse` a while, and is told by its line. */
function isModest(json: string): boolean {
  let [depth, marks] = [0, 0];
  for (let at = 0; at < json.length; at++) {
    const code = json.charCodeAt(at);
    // Those in texts are counted with them: they make it slower to read, not wrong.
    if (code === 0x5b || code === 0x7b) depth++;
    else if (code === 0x5d || code === 0x7d) depth--;
    else if (code !== 0x2c) continue;
    if (++marks > JOB_FILE_TOKENS || depth > JOB_FILE_DEPTH) return false;
  }
  return true;
}

/** A job or a sweep as it is kept: JSON, with its aliases and defaults filled in. @throws KasaneError LIMIT */
export function keptSpec(what: 'job' | 'sweep', spec: object): string {
  const kept = JSON.stringify(spec);
  const bytes = Buffer.byteLength(kept);
  if (bytes <= SPEC_BYTES) return kept;
  throw new KasaneError(
    'LIMIT',
    `the ${what} has ${bytes} bytes with its aliases and defaults filled in; the limit is ${SPEC_BYTES}`,
  );
}
