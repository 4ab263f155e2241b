/**
 * Marks on disk for jobs whose data is being read. If reading crashes the coordinator, the next one sees the mark, and after several
 * crashes fails the job instead of crashing again.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Crashes while reading a job's data after which the job is not read again. */
const MOST = 3;

export class ReadingMarks {
  readonly #path: string;
  /** By job: how often reading its data began and never ended. */
  readonly #counts: Map<string, number>;

  constructor(stateDirectory: string) {
    this.#path = join(stateDirectory, 'reading.json');
    this.#counts = readMarks(this.#path);
  }

  /** Whether an earlier coordinator may have crashed while reading this job's data. */
  isSuspect(job: string): boolean {
    return this.#counts.has(job);
  }

  /** Call before reading. @returns how often coordinators have crashed over it, if that is too often to try again */
  begin(job: string): number | undefined {
    const before = this.#counts.get(job) ?? 0;
    if (before >= MOST) {
      this.end(job);
      return before;
    }
    this.#counts.set(job, before + 1);
    this.#write();
    return undefined;
  }

  /** Call when the data has been read or refused. */
  end(job: string): void {
    if (this.#counts.delete(job)) this.#write();
  }

  /** The coordinator exits on purpose: no job is to blame. */
  clear(): void {
    this.#counts.clear();
    this.#write();
  }

  #write(): void {
    try {
      if (this.#counts.size === 0) rmSync(this.#path, { force: true });
      else writeFileSync(this.#path, JSON.stringify(Object.fromEntries(this.#counts)), { mode: 0o600 });
    } catch {
      // The disk is full; the mark is only a precaution.
    }
  }
}

function readMarks(path: string): Map<string, number> {
  try {
    const found = Object.entries(JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>);
    return new Map(found.filter((entry): entry is [string, number] => Number.isInteger(entry[1])));
  } catch {
    return new Map();
  }
}
