/** Which workers may own parts of a run's parameters, which of them do, and why the others do not. */
import { isLoopback } from '@kasane/protocol/internal/security/token';
import { SLOW_RATE } from '@kasane/protocol/internal/wire/parts';
import type { Reason } from '@kasane/protocol/reasons';
import type { ConnectedWorker } from '../workers.ts';
import type { PeerMesh } from './mesh.ts';

/** Which way gradients take: `auto` chooses by the size of the model and by who reaches whom. */
export type ExchangeMode = 'auto' | 'coordinator' | 'workers';

/** Parameters from which on workers exchange gradients among themselves: of fewer, messages cost more than bytes. */
const LEAST_FLOATS = 1 << 18;
/** A worker owns parts once it has computed for so long, in milliseconds: some come only to go. */
const SETTLED_MS = 2_000;
/** Owners that hold up a step do not own parts for so long, in milliseconds. */
const EXCLUDED_MS = 60_000;

/**
 * The coordinator sends part of each version where its links carry at least this part of what those between workers do: as measured, equal
 * ones differ; and one that has so little still sends all parameters sooner than two owners would send their sums beside them.
 */
const RELAY_RATE = 0.7;
/** And to this many owners at most: with eight, each sends 7 % less, and two of six measurements lost an owner. */
const RELAYED_OWNERS = 4;
/** It does so of this many parameters at most: it keeps them, and the optimizer's state, once more. */
const RELAYED_FLOATS = 1 << 25;

export interface OwnerChoiceOptions {
  /** The job. */
  readonly id: string;
  readonly mode: ExchangeMode;
  readonly mesh: PeerMesh;
  /** Number of all parameters. */
  readonly floats: number;
  /** Whether a worker is on the coordinator's machine, and needs no network. */
  readonly isNear: (worker: string) => boolean;
}

export class OwnerChoice {
  readonly #options: OwnerChoiceOptions;
  /** A step that is computed without owners, whoever there is, and until when those that follow it are, by `performance.now()`. */
  #plainStep = -1;
  #plainUntil = Number.NEGATIVE_INFINITY;
  /** When each worker first took part. */
  readonly #since = new Map<string, number>();
  readonly #excluded = new Map<string, number>();

  constructor(options: OwnerChoiceOptions) {
    this.#options = options;
  }

  /**
   * Who is to own parts, and what is to be said about it.
   * @param taking workers that compute the job
   * @param members those that own parts now
   */
  of(
    taking: readonly ConnectedWorker[],
    members: readonly string[],
    now: number,
  ): { readonly owners: readonly string[]; readonly why?: Reason } {
    const none = { owners: [] };
    const { mesh, isNear } = this.#options;
    if (now < this.#plainUntil) return none;
    const far = this.#exchanging(taking, ({ id }) => isNear(id));
    if (far.length < 2) return none;
    mesh.want(far, now);
    // Those who are there from the beginning need not show that they stay.
    const since = this.#since.size === 0 ? Number.NEGATIVE_INFINITY : now;
    for (const { id } of far) if (!this.#since.has(id)) this.#since.set(id, since);
    const may = far.filter(
      ({ id, draining }) =>
        !draining && now >= this.#since.get(id)! + SETTLED_MS && !this.#isExcluded(id, now),
    );
    const ids = new Set(may.map(({ id }) => id));
    // Each change of owners costs a version for all: one is made when it is known who reaches whom.
    const stay = members.every((id) => ids.has(id));
    if (stay && mesh.isTrying([...ids], now)) return { owners: members };
    const owners = mesh.closest([...ids]);
    if (owners.length >= 2) return { owners };
    const why = may.map(({ id }) => mesh.whyNot(id)).find((text) => text !== undefined);
    return why === undefined ? none : { owners: [], why: { code: 'exchange-unreached', args: { why } } };
  }

  /** Whether links between these owners are slow. */
  isSlow(owners: readonly string[]): boolean {
    return this.#options.mesh.rateOf(owners) < SLOW_RATE;
  }

  /**
   * Whether the coordinator is to send part of each version to these owners (`PartLayout.isRelayed`): where links are slow, its own are not
   * slower, and have nothing else to carry.
   * @param taking workers that compute the job
   */
  isRelaying(owners: readonly string[], taking: readonly ConnectedWorker[]): boolean {
    const { mesh, floats, isNear } = this.#options;
    const own = mesh.ownRateOf(owners);
    return (
      owners.length <= RELAYED_OWNERS &&
      this.isSlow(owners) &&
      own > 0 &&
      own >= RELAY_RATE * mesh.rateOf(owners) &&
      floats <= RELAYED_FLOATS * Math.max(1, owners.length - 1) &&
      taking.every(({ id }) => owners.includes(id) || isNear(id))
    );
  }

  /** Whether it is still being found out which of these reach one another, who could exchange this job's gradients. */
  isMeeting(taking: readonly ConnectedWorker[], now: number): boolean {
    const { mesh, isNear } = this.#options;
    // Those of this machine that have not opened shared memory yet will.
    const far = this.#exchanging(taking, ({ id, address }) => isNear(id) || isLoopback(address));
    if (far.length < 2) return false;
    mesh.want(far, now);
    return mesh.isTrying(
      far.map(({ id }) => id),
      now,
    );
  }

  /** Where a worker's gradients go, for people; undefined: through shared memory, or to the coordinator without a choice. */
  routeOf(worker: string, members: readonly string[], now: number): Reason | undefined {
    const { id: job, mesh, isNear } = this.#options;
    if (members.includes(worker))
      return { code: 'route-workers', args: { job, workers: members.length - 1 } };
    const since = this.#since.get(worker);
    if (since === undefined || isNear(worker)) return undefined;
    const why = mesh.whyNot(worker);
    if (why !== undefined) return { code: 'route-unreached', args: { job, why } };
    if (this.#isExcluded(worker, now)) return { code: 'route-late', args: { job } };
    const isLeftOut =
      members.length > 0 && now >= since + SETTLED_MS && !mesh.isTrying([...members, worker], now);
    return isLeftOut ? { code: 'route-slow', args: { job } } : undefined;
  }

  /** That step has no owners, and those that follow it have none for a while. */
  without(step: number, now: number): void {
    this.#plainStep = step;
    this.#plainUntil = now + EXCLUDED_MS;
  }

  /** Whether that step is to have no owners, whoever was chosen. */
  isWithout(step: number): boolean {
    return step === this.#plainStep;
  }

  /** They have held up a step: they own nothing for a while. */
  exclude(workers: readonly string[], now: number): void {
    for (const worker of workers) this.#excluded.set(worker, now);
  }

  /** A worker takes no part any more. */
  forget(worker: string): void {
    this.#since.delete(worker);
  }

  /** Those of these workers that could exchange this job's gradients among themselves. */
  #exchanging(
    taking: readonly ConnectedWorker[],
    isNear: (worker: ConnectedWorker) => boolean,
  ): readonly ConnectedWorker[] {
    const { mode, floats } = this.#options;
    if (mode === 'coordinator' || (mode === 'auto' && floats < LEAST_FLOATS)) return [];
    return mode === 'workers' ? taking : taking.filter((worker) => !isNear(worker));
  }

  #isExcluded(worker: string, now: number): boolean {
    return now < (this.#excluded.get(worker) ?? Number.NEGATIVE_INFINITY) + EXCLUDED_MS;
  }
}
