/** The connected workers, as the rest of the coordinator sees them; their connections are in `serve/`. */
import type { DepartedWorker } from '@kasane/protocol/gen/kasane/v1/cluster';
import type { ConnectResponse } from '@kasane/protocol/gen/kasane/v1/training';
import { BAD_FRAMES, DEPARTED_WORKERS, KEPT_NAME_MS, REMEMBERED_WORKERS } from '@kasane/protocol/limits';
import { messageOfReason, type Reason } from '@kasane/protocol/reasons';
import { keepNewest } from './newest.ts';
import type { EncodedVersion } from './params/encoded-version.ts';

/** Live state of a worker's connection. */
export interface Seen {
  /** Computing slots and waiting tasks, from its last heartbeat. */
  readonly busy: number;
  readonly waiting: number;
  /** By performance.now(). */
  readonly heardAt: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  /** Bytes waiting to be sent to it. */
  readonly bytesUnsent: number;
}

/** Who is behind a worker's name: the token it connected with, and its process. */
export interface Owner {
  /** From the gate. */
  readonly caller: string;
  /** Random ID of the process, hex; empty if the worker sends none. */
  readonly session: string;
}

export interface ConnectedWorker {
  readonly id: string;
  readonly owner: Owner;
  readonly host: string;
  /** The IP address it is connected from. */
  readonly address: string;
  readonly slots: number;
  readonly backend: string;
  /** Milliseconds since 1970. */
  readonly connectedAt: number;
  draining: boolean;
  tasksDone: number;
  tasksFailed: number;
  /** By job ID: why it gets no shards for now. */
  readonly resting: Map<string, Reason>;
  /** By job ID: where its gradients go, for users. */
  readonly routes: Map<string, Reason>;
  seen(): Seen;
  /** Ends its connection. */
  close(why: Reason): void;
  /** Sends a control message. */
  send(message: NonNullable<ConnectResponse['message']>): void;
  /**
   * Sends a parameter version of a job. If the link is still busy with an earlier version, the ones in between are skipped: only the
   * newest matters.
   * @param changes relative to the version published before; sent instead of the whole version if that one was sent
   */
  publish(job: string, whole: () => EncodedVersion, changes?: EncodedVersion): void;
  /** Forwards a frame from another worker. */
  relay(frame: Buffer): void;
  /** Sends part of what workers exchange: of a slow link little is under way at once. Resolves when there is room for the next. */
  relayPaced(frame: Buffer): Promise<void>;
  /** Measures its link, once. @param onRate hears how many bytes a second it carries */
  probe(onRate: (bytesPerSecond: number) => void): void;
  /** Sends frames that belong to the job's last published version, after it. */
  publishMore(job: string, more: EncodedVersion): void;
}

/** A worker that was disconnected because of invalid frames. */
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
  /** Bad frames by owner, connected or not: a name alone proves nothing. */
  readonly #strikes = new Map<string, number>();
  readonly #quarantined = new Map<string, Quarantined>();
  /** The last owner of each name, and when it disconnected. */
  readonly #kept = new Map<string, Owner & { readonly leftAt: number }>();
  /** When each worker was last heard from. Read with every answer, so it is a view instead of a copy. */
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

  /** The last few, newest first. */
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

  /** Whether a name belongs to another worker that is connected, or has just lost its connection and may come back. */
  isTaken(id: string, owner: Owner, now = performance.now()): boolean {
    const connected = this.#workers.get(id)?.owner;
    if (connected) return !isSame(connected, owner);
    const kept = this.#kept.get(id);
    return kept !== undefined && now - kept.leftAt < KEPT_NAME_MS && !isSame(kept, owner);
  }

  /** Counts a bad frame. Returns the quarantine if this was the third. */
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

  /** Why a worker may not connect. Others with its name are not affected. */
  quarantineOf(worker: string, owner: Owner): Quarantined | undefined {
    return this.#quarantined.get(keyOf(worker, owner));
  }

  /** The last few quarantined workers, in order. */
  quarantined(): Quarantined[] {
    return [...this.#quarantined.values()].slice(-DEPARTED_WORKERS);
  }
}

const isSame = (a: Owner, b: Owner) => a.session !== '' && a.session === b.session && a.caller === b.caller;

/** Strikes count against a worker's process, or against its name if it sends no process ID. */
const keyOf = (worker: string, { caller, session }: Owner) =>
  `${caller}\n${session === '' ? `name ${worker}` : session}`;
