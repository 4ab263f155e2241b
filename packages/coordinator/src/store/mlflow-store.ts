/** What has been sent to MLflow of each job: after a restart the rest is sent, and nothing twice. */
import type { DatabaseSync } from 'node:sqlite';
import { number, text } from './job-record.ts';
import type { Statement } from './state-writer.ts';

/** How much of a job one server has. */
export interface SentToMlflow {
  readonly job: string;
  /** ID of its run there. */
  readonly run: string;
  /** The last step and the last epoch that were sent. */
  readonly step: number;
  readonly epoch: number;
  /** The status that the run was given; REFUSED: MLflow accepts nothing of the job. */
  readonly status: string;
  /** The registered models that it was tagged with. */
  readonly models: string;
  /** The job has ended, and all was sent. */
  readonly isOver: boolean;
}

export class MlflowStore {
  readonly #db: DatabaseSync;
  readonly #write: (...statements: readonly Statement[]) => Promise<void>;

  /** @param write writes all or nothing, in the order in which it is called */
  constructor(db: DatabaseSync, write: (...statements: readonly Statement[]) => Promise<void>) {
    this.#db = db;
    this.#write = write;
  }

  /** @param server with its experiment */
  get(server: string, job: string): SentToMlflow | undefined {
    const row = this.#db.prepare('SELECT * FROM mlflow WHERE server = ? AND job = ?').get(server, job);
    return (
      row && {
        job,
        run: text(row.run),
        step: number(row.step),
        epoch: number(row.epoch),
        status: text(row.status),
        models: text(row.models),
        isOver: number(row.isOver) === 1,
      }
    );
  }

  /** Jobs of which something may be left to be sent. */
  unfinished(server: string): string[] {
    return this.#db
      .prepare('SELECT job FROM mlflow WHERE server = ? AND isOver = 0 ORDER BY job')
      .all(server)
      .map(({ job }) => text(job));
  }

  set(server: string, { job, run, step, epoch, status, models, isOver }: SentToMlflow): Promise<void> {
    return this.#write({
      sql: 'INSERT OR REPLACE INTO mlflow VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
      values: [server, job, run, step, epoch, status, models, isOver ? 1 : 0],
    });
  }
}
