/** The workers connected now, as the rest of the coordinator sees them; the connections behind them are in `serve/`. */
import type { DepartedWorker } from '@kasane/protocol/gen/kasane/v1/cluster';
import type { ConnectResponse } from '@kasane/protocol/gen/kasane/v1/training';
import { BAD_FRAMES, DEPARTED_WORKERS, REMEMBERED_WORKERS } from '@kasane/protocol/limits';
import { keepNewest } from './newest.ts';
import type { EncodedVersion } from './params/encoded-version.ts';

/** What a worker's connection tells of it. */
export interface Seen {
  /** Slots that compute, and tasks that wait, by its last heartbeat. */
  readonly busy: number;
  readonly waiting: number;
  /** By performance.now(). */
  readonly heardAt: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
}

export interface ConnectedWorker {
  readonly id: string;
  readonly host: string;
  readonly slots: number;
  readonly backend: string;
  /** Milliseconds since 1970. */
  readonly connectedAt: number;
  draining: boolean;
  tasksDone: number;
  tasksFailed: number;
  seen(): Seen;
  /** Sends a control message. */
  send(message: NonNullable<ConnectResponse['message']>): void;
  /**
   * Sends a parameter version of a job. A link that is still busy with an earlier version skips those in between: only the
   * newest of each job is of use.
   */
  publish(job: string, version: EncodedVersion): void;
  /** Sends what belongs to the version of the job that was published last, after it. */
  publishMore(job: string, more: EncodedVersion): void;
}

/** A worker that was sent away for what it sent. */
export interface Quarantined {
  readonly id: string;
  readonly host: string;
  readonly why: string;
  /** Milliseconds since 1970. */
  readonly since: number;
}

export class WorkerRegistry {
  readonly #workers = new Map<string, ConnectedWorker>();
  #departed: readonly DepartedWorker[] = [];
  /** Bad frames of each worker, connected or not. */
  readonly #strikes = new Map<string, number>();
  readonly #quarantined = new Map<string, Quarantined>();
  /** When each worker was last heard from: asked with every answer, so no map of all of them is made. */
  readonly heardAt: Pick<ReadonlyMap<string, number>, 'get' | 'size'>;

  constructor() {
    const workers = this.#workers;
    this.heardAt = {
      get: (id) => workers.get(id)?.seen().heardAt,
      get size() {
        return workers.size;
      },
    };
  }

  add(worker: ConnectedWorker): void {
    this.#workers.set(worker.id, worker);
  }

  /** Removes exactly this connection; a newer one of the same worker stays. */
  remove(worker: ConnectedWorker, why: string): boolean {
    if (this.#workers.get(worker.id) !== worker || !this.#workers.delete(worker.id)) return false;
    const { id, host, connectedAt, tasksDone, draining: drained } = worker;
    const gone = { id, host, connectedAt, tasksDone, drained, leftAt: Date.now(), why };
    this.#departed = [gone, ...this.#departed].slice(0, DEPARTED_WORKERS);
    return true;
  }

  /** Newest first; few. */
  get departed(): readonly DepartedWorker[] {
    return this.#departed;
  }

  get(id: string): ConnectedWorker | undefined {
    return this.#workers.get(id);
  }

  /** In order of connection. */
  all(): ConnectedWorker[] {
    return [...this.#workers.values()];
  }

  get size(): number {
    return this.#workers.size;
  }

  /** A frame of a worker was damaged or did not fit. The third sends it away: returns why, then. */
  strike(id: string, host: string, why: string): Quarantined | undefined {
    const count = (this.#strikes.get(id) ?? 0) + 1;
    keepNewest(this.#strikes, id, count, REMEMBERED_WORKERS);
    if (count < BAD_FRAMES) return undefined;
    const quarantined = { id, host, why: `${count} bad frames, the last: ${why}`, since: Date.now() };
    keepNewest(this.#quarantined, id, quarantined, REMEMBERED_WORKERS);
    return quarantined;
  }

  /** Why a worker is not let in. */
  quarantineOf(id: string): Quarantined | undefined {
    return this.#quarantined.get(id);
  }

  /** Those that were sent away, in that order. */
  quarantined(): Quarantined[] {
    return [...this.#quarantined.values()];
  }
}
