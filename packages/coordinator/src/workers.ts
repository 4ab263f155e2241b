/** The workers connected now, as the rest of the coordinator sees them; the connections behind them are in `serve/`. */
import type { DepartedWorker } from '@kasane/protocol/gen/kasane/v1/cluster';
import type { ConnectResponse } from '@kasane/protocol/gen/kasane/v1/training';
import { BAD_FRAMES, DEPARTED_WORKERS, KEPT_NAME_MS, REMEMBERED_WORKERS } from '@kasane/protocol/limits';
import { messageOfReason, type Reason } from '@kasane/protocol/reasons';
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
  /** Bytes that wait to be sent to it. */
  readonly bytesUnsent: number;
}

/** Who is behind a worker's name: by which token it was let in, and which process it is. */
export interface Owner {
  /** Of the gate. */
  readonly caller: string;
  /** What the process drew when it started, as hex; empty: it says none. */
  readonly session: string;
}

export interface ConnectedWorker {
  readonly id: string;
  readonly owner: Owner;
  readonly host: string;
  /** The IP address from which it is connected. */
  readonly address: string;
  readonly slots: number;
  readonly backend: string;
  /** Milliseconds since 1970. */
  readonly connectedAt: number;
  draining: boolean;
  tasksDone: number;
  tasksFailed: number;
  /** Why it gets no shards of a job for now, by the job's id. */
  readonly resting: Map<string, Reason>;
  /** Where its gradients go, for people, by the job's id. */
  readonly routes: Map<string, Reason>;
  seen(): Seen;
  /** Ends its connection. */
  close(why: Reason): void;
  /** Sends a control message. */
  send(message: NonNullable<ConnectResponse['message']>): void;
  /**
   * Sends a parameter version of a job. A link that is still busy with an earlier version skips those in between: only the
   * newest of each job is of use.
   * @param changes what the version adds to the one that was published to it before: sent in its place, if that one was sent
   */
  publish(job: string, whole: () => EncodedVersion, changes?: EncodedVersion): void;
  /** Sends a frame that another worker has sent here for it. */
  relay(frame: Buffer): void;
  /** Sends part of what workers exchange: of a slow link little is under way at once. Resolves when there is room for the next. */
  relayPaced(frame: Buffer): Promise<void>;
  /** Measures its link, once. @param onRate hears how many bytes a second it carries */
  probe(onRate: (bytesPerSecond: number) => void): void;
  /** Sends what belongs to the version of the job that was published last, after it. */
  publishMore(job: string, more: EncodedVersion): void;
}

/** A worker that was sent away for what it sent. */
export interface Quarantined {
  readonly id: string;
  readonly host: string;
  readonly why: Reason;
  /** Milliseconds since 1970. */
  readonly since: number;
}

export class WorkerRegistry {
  readonly #workers = new Map<string, ConnectedWorker>();
  #departed: readonly DepartedWorker[] = [];
  /** Bad frames of each owner, connected or not: a name is chosen by whoever says it. */
  readonly #strikes = new Map<string, number>();
  readonly #quarantined = new Map<string, Quarantined>();
  /** Who had a name last, and when that one broke off. */
  readonly #kept = new Map<string, Owner & { readonly leftAt: number }>();
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
  remove(worker: ConnectedWorker, why: Reason): boolean {
    if (this.#workers.get(worker.id) !== worker || !this.#workers.delete(worker.id)) return false;
    const { owner } = worker;
    const mayComeBack = owner.session !== '' && !worker.draining && !this.quarantineOf(worker.id, owner);
    if (mayComeBack)
      keepNewest(this.#kept, worker.id, { ...owner, leftAt: performance.now() }, REMEMBERED_WORKERS);
    else this.#kept.delete(worker.id);
    const { id, host, connectedAt, tasksDone, draining: drained } = worker;
    const gone = { id, host, connectedAt, tasksDone, drained, leftAt: Date.now() };
    this.#departed = [{ ...gone, why: messageOfReason(why) }, ...this.#departed].slice(0, DEPARTED_WORKERS);
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

  /** Whether a name is another's: of a worker that is connected, or that broke off a moment ago and may come back. */
  isTaken(id: string, owner: Owner, now = performance.now()): boolean {
    const connected = this.#workers.get(id)?.owner;
    if (connected) return !isSame(connected, owner);
    const kept = this.#kept.get(id);
    return kept !== undefined && now - kept.leftAt < KEPT_NAME_MS && !isSame(kept, owner);
  }

  /** A frame of a worker was damaged or did not fit. The third sends it away: returns why, then. */
  strike(worker: string, owner: Owner, host: string, why: string): Quarantined | undefined {
    const key = keyOf(worker, owner);
    const count = (this.#strikes.get(key) ?? 0) + 1;
    keepNewest(this.#strikes, key, count, REMEMBERED_WORKERS);
    if (count < BAD_FRAMES) return undefined;
    const reason: Reason = { code: 'bad-frames', args: { count, last: why } };
    const quarantined = { id: worker, host, why: reason, since: Date.now() };
    keepNewest(this.#quarantined, key, quarantined, REMEMBERED_WORKERS);
    return quarantined;
  }

  /** Why a worker is not let in. Others of its name are not concerned. */
  quarantineOf(worker: string, owner: Owner): Quarantined | undefined {
    return this.#quarantined.get(keyOf(worker, owner));
  }

  /** Those that were sent away last, in that order; few. */
  quarantined(): Quarantined[] {
    return [...this.#quarantined.values()].slice(-DEPARTED_WORKERS);
  }
}

const isSame = (a: Owner, b: Owner) => a.session !== '' && a.session === b.session && a.caller === b.caller;

/** What is held against a worker is held against its process; against its name only where it does not say which process it is. */
const keyOf = (worker: string, { caller, session }: Owner) =>
  `${caller}\n${session === '' ? `name ${worker}` : session}`;
