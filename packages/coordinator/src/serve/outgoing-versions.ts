/** Parameter versions waiting to be sent to one worker: only the newest of each job waits while the link is full. */
import type { Link } from '@kasane/protocol/internal/wire/link';
import type { EncodedVersion } from '../params/encoded-version.ts';

export class OutgoingVersions {
  readonly #link: () => Pick<Link, 'full' | 'sendAll'> | undefined;
  /** By job, the version to send when the link has room again. */
  readonly #pending = new Map<string, readonly EncodedVersion[]>();
  #sentBytes = 0;
  #closed = false;

  constructor(link: () => Pick<Link, 'full' | 'sendAll'> | undefined) {
    this.#link = link;
  }

  /** Size of the versions sent last. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Replaces a version of the job that is still waiting, if any; `changes` relative to that one are then not enough. */
  publish(job: string, whole: () => EncodedVersion, changes: EncodedVersion | undefined): void {
    this.#put(job, [], changes && !this.#pending.has(job) ? changes : whole());
  }

  /** Queues more frames behind the job's version. */
  publishMore(job: string, more: EncodedVersion): void {
    this.#put(job, this.#pending.get(job) ?? [], more);
  }

  /** Sends what is waiting. Call when the link has room. */
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

  /** Queues `more` behind `kept`, and drops whatever else is waiting for this job. */
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
