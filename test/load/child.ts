/** A process of a load test: what its parent asks of it, and what it tells. It ends with its parent. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

/** What a process has used, and what it complained of: how often each sentence was said, numbers and names left out. */
export interface Told {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly complaints: Readonly<Record<string, number>>;
  /** What else it counts. */
  readonly counts: Readonly<Record<string, number>>;
}

/** Counts sentences; those that differ only in numbers and names are one. */
export class Tally {
  readonly counts: Record<string, number> = {};

  add(sentence: string): void {
    const kind = sentence.replace(/[\w.]*-[0-9a-f]{4,8}\b/g, 'X').replace(/\d+(\.\d+)?(, \d+)*/g, 'N');
    this.#count(kind, 1);
  }

  /** Adds what another one has counted. */
  addAll(counts: Readonly<Record<string, number>>): void {
    for (const [kind, count] of Object.entries(counts)) this.#count(kind, count);
  }

  /** What was counted since `earlier` was. */
  since(earlier: Tally): Readonly<Record<string, number>> {
    const counts = Object.entries(this.counts).map(
      ([kind, count]) => [kind, count - (earlier.counts[kind] ?? 0)] as const,
    );
    return Object.fromEntries(counts.filter(([, count]) => count > 0));
  }

  #count(kind: string, count: number): void {
    this.counts[kind] = (this.counts[kind] ?? 0) + count;
  }
}

/** What this process has used. */
export function ownUse(): Pick<Told, 'cpuSeconds' | 'residentBytes'> {
  const { user, system } = process.cpuUsage();
  return { cpuSeconds: (user + system) / 1e6, residentBytes: process.memoryUsage.rss() };
}

/** The child's side: says when it is ready, tells when it is asked, ends when its parent is gone. */
export function serveParent(complaints: Tally, counts: () => Readonly<Record<string, number>>): void {
  process.on('disconnect', () => process.exit(0));
  process.on('message', () => {
    const told: Told = { ...ownUse(), complaints: complaints.counts, counts: counts() };
    process.send!(told);
  });
  process.send!('ready');
}

export class LoadChild {
  readonly #process: ChildProcess;

  /** @param script beside this file @param options as it takes them */
  constructor(script: string, options: object) {
    this.#process = fork(new URL(script, import.meta.url), [JSON.stringify(options)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
  }

  /** Resolves when it has said that it is ready. */
  async ready(): Promise<void> {
    const ended = once(this.#process, 'exit').then(([code]) => {
      throw new Error(`a process of the load test ended with ${code}`);
    });
    ended.catch(() => {});
    await Promise.race([once(this.#process, 'message'), ended]);
  }

  async ask(): Promise<Told> {
    const told = once(this.#process, 'message');
    this.#process.send('tell');
    return (await told)[0] as Told;
  }

  async end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await ended;
  }
}
