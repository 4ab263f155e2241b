/**
 * Parses submitted job files. Size is checked first: what is too large is refused before any parsing. YAML of more than a few kilobytes
 * is parsed in a thread to keep the event loop free; callers take turns there.
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

/** Parsing this many characters takes up to 20 ms; starting a thread takes a few, and some time on another core. */
const FEW_CHARACTERS = 8 << 10;

/** The thread exits after this long without a file, in milliseconds, because it occupies memory. */
const WARM_MS = 30_000;

/** The files submitted to one coordinator. */
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
   * Parses a job file. If that takes long, it waits for its turn behind the files of other callers.
   * @throws KasaneError JOB_INVALID, LIMIT, and UNREACHABLE if the client disconnects first
   */
  async job(file: string, asker: Asker): Promise<Job> {
    checkJobFileSize(file);
    const job = writtenByProgram(file);
    if (job) return job;
    if (file.length > FEW_CHARACTERS) {
      const spec = await this.#turns.run(asker, () => this.#parseApart({ kind: 'job', text: file }));
      // Already checked, but models cannot be posted between threads, so build it again.
      return checkJob(JSON.parse(spec));
    }
    const { parseJobFile } = await import('@kasane/protocol/job-file');
    return parseJobFile(file, 'job file');
  }

  /**
   * Parses a sweep file, whose check builds many models.
   * @throws KasaneError JOB_INVALID, LIMIT, and UNREACHABLE if the client disconnects first
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
    // `answerOf` reports the reason to the caller.
    thread.on('error', over).on('exit', over);
    this.#thread = thread;
    return thread;
  }

  /** Keeps the thread for the next file, without keeping the process alive. */
  #rest(thread: Worker): void {
    thread.unref();
    clearTimeout(this.#cooling);
    this.#cooling = setTimeout(() => this.close(), WARM_MS).unref();
  }

  /** Ends the thread; the next file starts another. */
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

/**
 * Fast path for job files written by programs, which are plain JSON. Undefined if it is not, or is invalid: then the YAML parser reports
 * the line.
 */
function writtenByProgram(file: string): Job | undefined {
  if (!isModest(file)) return undefined;
  try {
    const value = JSON.parse(file);
    // A round trip proves that there are no duplicate keys.
    return JSON.stringify(value) === file ? checkJob(value) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether nesting and number of values are within the limits: `JSON.parse` is slow otherwise, and the YAML parser reports the line. */
function isModest(json: string): boolean {
  let [depth, marks] = [0, 0];
  for (let at = 0; at < json.length; at++) {
    const code = json.charCodeAt(at);
    // Brackets in strings are counted too: that only costs the fast path.
    if (code === 0x5b || code === 0x7b) depth++;
    else if (code === 0x5d || code === 0x7d) depth--;
    else if (code !== 0x2c) continue;
    if (++marks > JOB_FILE_TOKENS || depth > JOB_FILE_DEPTH) return false;
  }
  return true;
}

/** A job or sweep as it is stored: JSON, with aliases and defaults filled in. @throws KasaneError LIMIT */
export function keptSpec(what: 'job' | 'sweep', spec: object): string {
  const kept = JSON.stringify(spec);
  const bytes = Buffer.byteLength(kept);
  if (bytes <= SPEC_BYTES) return kept;
  throw new KasaneError(
    'LIMIT',
    `the ${what} has ${bytes} bytes with its aliases and defaults filled in; the limit is ${SPEC_BYTES}`,
  );
}
