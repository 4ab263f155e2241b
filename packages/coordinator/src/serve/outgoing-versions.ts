/** Versions of parameters on their way to one worker: the newest of each job waits while the link is full. */
import type { Link } from '@kasane/protocol/internal/wire/link';
import type { EncodedVersion } from '../params/encoded-version.ts';

export class OutgoingVersions {
  readonly #link: () => Pick<Link, 'full' | 'sendAll'> | undefined;
  /** Of each job the version to send once the link has room again. */
  readonly #pending = new Map<string, readonly EncodedVersion[]>();
  #sentBytes = 0;
  #closed = false;

  constructor(link: () => Pick<Link, 'full' | 'sendAll'> | undefined) {
    this.#link = link;
  }

  /** Of the versions that were sent last. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Takes the place of the job's version that still waits, if there is one: then `changes` since that one are not enough. */
  publish(job: string, whole: () => EncodedVersion, changes: EncodedVersion | undefined): void {
    this.#put(job, [], changes && !this.#pending.has(job) ? changes : whole());
  }

  /** Waits behind the job's version. */
  publishMore(job: string, more: EncodedVersion): void {
    this.#put(job, this.#pending.get(job) ?? [], more);
  }

  /** Sends what waits. Call when the link has room. */
  flush(): void {
    const versions = this.#take();
    if (versions.length === 0) return;
    const frames = versions.flatMap((version) => version.frames);
    this.#sentBytes = frames.reduce((sum, frame) => sum + frame.length, 0);
    this.#link()?.sendAll(frames, () => {
      for (const version of versions) version.release();
    });
  }

  close(): void {
    this.#closed = true;
    for (const version of this.#take()) version.release();
  }

  /** Lets `more` wait behind `kept`; what else waits of this job is left out. */
  #put(job: string, kept: readonly EncodedVersion[], more: EncodedVersion): void {
    if (this.#closed) return;
    for (const version of this.#pending.get(job) ?? []) if (!kept.includes(version)) version.release();
    more.hold();
    this.#pending.set(job, [...kept, more]);
    if (!this.#link()?.full) this.flush();
  }

  #take(): EncodedVersion[] {
    const versions = [...this.#pending.values()].flat();
    this.#pending.clear();
    return versions;
  }
}
