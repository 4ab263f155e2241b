/**
 * Which jobs' data is being read, on disk: a coordinator that ends over it finds that out at its next start, and in the end leaves the job
 * alone, instead of ending again and again.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** So often a coordinator may have ended while it read a job's data. */
const MOST = 3;

export class ReadingMarks {
  readonly #path: string;
  /** By job: how often its data has been begun to be read without an end. */
  readonly #counts: Map<string, number>;

  constructor(stateDirectory: string) {
    this.#path = join(stateDirectory, 'reading.json');
    this.#counts = readMarks(this.#path);
  }

  /** Whether an earlier coordinator ended while it read the data of this job, as far as is known. */
  isSuspect(job: string): boolean {
    return this.#counts.has(job);
  }

  /** Begins to read. @returns how often coordinators have ended over it, if that is too often: it is not to be read */
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

  /** It has been read, or refused. */
  end(job: string): void {
    if (this.#counts.delete(job)) this.#write();
  }

  /** The coordinator ends because it is to: no job is to blame. */
  clear(): void {
    this.#counts.clear();
    this.#write();
  }

  #write(): void {
    try {
      if (this.#counts.size === 0) rmSync(this.#path, { force: true });
      else writeFileSync(this.#path, JSON.stringify(Object.fromEntries(this.#counts)), { mode: 0o600 });
    } catch {
      // A full disk: it is only a precaution.
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
