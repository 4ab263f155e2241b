/**
 * Which workers reach one another: the coordinator asks those that could exchange gradients to listen, gives each two a key, and hears from
 * who dials how fast the link is. It belongs to the coordinator, not to a job: links outlive jobs.
 */
import { randomBytes } from 'node:crypto';
import { isOfPrivateNetwork, plainIp, whyNoAddress } from '@kasane/protocol/internal/ports/address';
import { splitAddress } from '@kasane/protocol/internal/security/tls';
import { LINK_KEY_BYTES } from '@kasane/protocol/internal/wire/link';
import { medianOf } from '../steps/median.ts';
import type { ConnectedWorker } from '../workers.ts';
import { closest } from './clique.ts';

/** Workers that are linked with one another: each holds a link to each. */
const MOST_PEERS = 64;
/** A pair whose link broke, or could not be opened, is tried again after so long, in milliseconds. */
const RETRY_MS = 30_000;
/** What has not answered after so long, in milliseconds, is not waited for. */
const TRYING_MS = 10_000;

interface Member {
  readonly worker: ConnectedWorker;
  /** HOST:PORT; undefined until it has said so; empty: it does not listen. */
  address: string | undefined;
  why: string;
  readonly askedAt: number;
  /** Bytes a second of its link to the coordinator; 0: that is being measured. Undefined: it is not. */
  rate: number | undefined;
}

/** Between two workers, the first by its id first. */
interface LinkOf {
  readonly a: string;
  readonly b: string;
  readonly key: Buffer;
  /** Undefined while it is tried. */
  able: boolean | undefined;
  bytesPerSecond: number;
  why: string;
  changedAt: number;
}

export class PeerMesh {
  readonly #members = new Map<string, Member>();
  readonly #links = new Map<string, LinkOf>();
  readonly #listeners = new Set<(a: string, b: string) => void>();

  /** Asks these to listen, and tries again what broke a while ago. */
  want(workers: readonly ConnectedWorker[], now = performance.now()): void {
    for (const worker of workers) {
      if (this.#members.get(worker.id)?.worker === worker || this.#members.size >= MOST_PEERS) continue;
      this.left(worker.id);
      this.#members.set(worker.id, {
        worker,
        address: undefined,
        why: 'it has not answered yet',
        askedAt: now,
        rate: undefined,
      });
      worker.send({ $case: 'openPeers', value: {} });
    }
    const broken = [...this.#links.values()].filter(
      ({ able, changedAt }) => able === false && now > changedAt + RETRY_MS,
    );
    for (const { a, b } of broken) this.#link(a, b, now);
    this.#tell(broken.flatMap(({ a, b }) => [a, b]));
  }

  /** A worker listens, or does not. */
  opened(worker: ConnectedWorker, address: string, why: string): void {
    const member = this.#members.get(worker.id);
    if (member?.worker !== worker) return;
    // Others dial it.
    const isAddress = address === '' || whyNoAddress(address) === undefined;
    // Once is enough: each new link is dialled by others.
    if (address !== '' && address === member.address) return;
    // Links were allowed to where it listened before.
    const before = this.#unlink(worker.id);
    member.address = isAddress ? address : '';
    member.why = isAddress ? why : 'its address is not HOST:PORT';
    if (member.address === '') {
      this.#tell(before);
      return;
    }
    if (member.rate === undefined) {
      // At the same time as its links to others: each counts as one of as many.
      member.rate = 0;
      worker.probe((bytesPerSecond) => {
        member.rate = bytesPerSecond;
      });
    }
    const others = [...this.#members].filter(
      ([id, other]) => id !== worker.id && other.address && mayLink(member, other),
    );
    for (const [id] of others) this.#link(worker.id, id, performance.now());
    this.#tell([worker.id, ...before, ...others.map(([id]) => id)]);
  }

  /** A worker says that it reaches another, or does not. */
  reached(worker: string, other: string, able: boolean, bytesPerSecond: number, why: string): void {
    const link = this.#links.get(keyOf(worker, other));
    if (!link) return;
    Object.assign(link, { able, bytesPerSecond, why, changedAt: performance.now() });
    if (!able) for (const hear of this.#listeners) hear(worker, other);
  }

  /** A worker has gone. */
  left(worker: string): void {
    if (this.#members.delete(worker)) this.#unlink(worker);
  }

  /** Whether it is still being found out who of these reach one another. */
  isTrying(workers: readonly string[], now = performance.now()): boolean {
    const among = new Set(workers);
    for (const id of among) {
      const member = this.#members.get(id);
      if (member && isTrying(member) && now < member.askedAt + TRYING_MS) return true;
    }
    return [...this.#links.values()].some(
      ({ a, b, able, changedAt }) =>
        able === undefined && now < changedAt + TRYING_MS && among.has(a) && among.has(b),
    );
  }

  /** The most of these workers that all reach one another, about equally fast. */
  closest(workers: readonly string[]): string[] {
    const listening = workers.filter((worker) => this.#members.get(worker)?.address);
    return closest(listening, (a, b) => {
      const link = this.#links.get(keyOf(a, b));
      return link?.able ? link.bytesPerSecond : undefined;
    });
  }

  /** The median of the bytes a second between these workers; 0: it is not known. */
  rateOf(workers: readonly string[]): number {
    const among = new Set(workers);
    const links = [...this.#links.values()].filter(({ a, b, able }) => able && among.has(a) && among.has(b));
    return medianOf(links.map(({ bytesPerSecond }) => bytesPerSecond));
  }

  /** The median of the bytes a second between the coordinator and these workers; 0: it is not known. */
  ownRateOf(workers: readonly string[]): number {
    return medianOf(workers.map((worker) => this.#members.get(worker)?.rate ?? 0));
  }

  /** Why a worker has no link to another one, for people; undefined: it has, or is being tried. */
  whyNot(worker: string): string | undefined {
    const member = this.#members.get(worker);
    if (member?.address === '') return member.why;
    const isLinked = [...this.#links.values()].some(({ a, b }) => a === worker || b === worker);
    if (member?.address && !isOwn(member) && !isLinked)
      return `it listens at ${member.address}, but is connected from ${member.worker.address}, as through NAT`;
    return [...this.#links.values()].find(
      ({ a, b, able }) => able === false && (a === worker || b === worker),
    )?.why;
  }

  /** Has `hear` told of links that break. @returns what ends that */
  onBroken(hear: (a: string, b: string) => void): () => void {
    this.#listeners.add(hear);
    return () => this.#listeners.delete(hear);
  }

  /** Forgets the links of a worker. Returns who was at their other ends. */
  #unlink(worker: string): string[] {
    const own = [...this.#links].filter(([, { a, b }]) => a === worker || b === worker);
    for (const [key] of own) this.#links.delete(key);
    return own.map(([, { a, b }]) => (a === worker ? b : a));
  }

  #link(one: string, other: string, now: number): void {
    const [a, b] = one < other ? [one, other] : [other, one];
    const fresh = { able: undefined, bytesPerSecond: 0, why: '', changedAt: now };
    this.#links.set(keyOf(a, b), { a, b, key: randomBytes(LINK_KEY_BYTES), ...fresh });
  }

  /** Tells these workers with whom they are to be linked: those that are dialled first. */
  #tell(workers: readonly string[]): void {
    for (const id of [...new Set(workers)].sort().reverse()) {
      const peers = [...this.#links.values()].flatMap(({ a, b, key, able }) => {
        if (able === false || (a !== id && b !== id)) return [];
        const other = a === id ? b : a;
        return [{ worker: other, address: this.#members.get(other)!.address!, key, dials: a === id }];
      });
      this.#members.get(id)?.worker.send({ $case: 'peers', value: { peers } });
    }
  }
}

/** Whether it has not said where it listens, or its link to the coordinator is being measured. */
const isTrying = ({ address, rate }: Member): boolean => address === undefined || rate === 0;

/** Whether it listens where it is connected from, and not at some host that it names. Behind NAT it does not. */
const isOwn = ({ address = '', worker }: Member): boolean =>
  plainIp(splitAddress(address).host) === worker.address;

/**
 * Others dial what a worker names only where it is itself, or at an address of the network behind the NAT that both are behind: who else is
 * at an address was never asked.
 */
function mayLink(one: Member, other: Member): boolean {
  const isOne = one.worker.id < other.worker.id;
  const dialled = isOne ? other : one;
  if (isOwn(dialled)) return true;
  const { host } = splitAddress(dialled.address ?? '');
  return one.worker.address === other.worker.address && isOfPrivateNetwork(plainIp(host));
}

const keyOf = (a: string, b: string) => (a < b ? `${a}\n${b}` : `${b}\n${a}`);
