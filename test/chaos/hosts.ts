/** Where the processes of a stage run, and the networks by which its workers reach the others. */
import { freePort } from '@kasane/cli/internal/redis/start';
import { Child, type Line } from './child.ts';
import type { FaultName } from './faults.ts';
import { Link } from './link.ts';
import { randomOf } from './random.ts';

export type Role = 'redis' | 'coordinator' | 'worker';

export interface Start {
  readonly role: Role;
  /** Of the process, for people. */
  readonly name: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly onLine: ((line: Line) => void) | undefined;
}

/** How one worker reaches the others. */
export interface WorkerNetwork {
  /** Of the coordinator, host:port. */
  readonly coordinator: string;
  /** Of Redis. */
  readonly redisUrl: string;
  /** Nothing goes through any more, and nobody is told. Returns whether something was cut off. */
  cut(): Promise<boolean>;
  /** Adds `latencyMs` in each direction and loses a part of what is sent. Returns whether anyone feels it. */
  weather(latencyMs: number, loss: number): Promise<boolean>;
  /** Ends what `cut` and `weather` began. */
  heal(): Promise<void>;
  close(): void;
}

export interface Hosts {
  /** Of the coordinator as this process reaches it, host:port. */
  readonly coordinator: string;
  /** Of Redis, as this process reaches it. */
  readonly redisPort: number;
  /** What coordinator and clients share; undefined: none is needed. */
  readonly token: string | undefined;
  /** Options of `redis-server`: where it listens. */
  readonly redisOptions: readonly string[];
  /** Options of `kasane coordinator`: where it listens, and where its Redis is. */
  readonly coordinatorOptions: readonly string[];
  /** Why a fault cannot be brought about there. */
  lacks(fault: FaultName): string | undefined;
  start(start: Start): Promise<Child>;
  /** Of the worker of this index, before it is started. */
  network(index: number): Promise<WorkerNetwork>;
  close(): Promise<void>;
}

/** Processes of this machine. Each worker has links of its own on loopback. */
export class Processes implements Hosts {
  readonly token = undefined;
  readonly #seed: number;
  readonly #port: number;
  readonly redisPort: number;

  private constructor(seed: number, port: number, redisPort: number) {
    this.#seed = seed;
    this.#port = port;
    this.redisPort = redisPort;
  }

  /** @param seed of the weather */
  static async open(seed: number): Promise<Processes> {
    return new Processes(seed, await freePort(), await freePort());
  }

  get coordinator(): string {
    return `127.0.0.1:${this.#port}`;
  }

  get redisOptions(): string[] {
    return ['--port', String(this.redisPort), '--bind', '127.0.0.1'];
  }

  get coordinatorOptions(): string[] {
    return ['--port', String(this.#port), '--redis', `redis://127.0.0.1:${this.redisPort}`];
  }

  lacks(): undefined {
    return undefined;
  }

  async start({ name, command, env, onLine }: Start): Promise<Child> {
    return new Child(name, command, { ...process.env, ...env }, onLine);
  }

  async network(index: number): Promise<WorkerNetwork> {
    const coordinator = await Link.open(this.#port, randomOf(this.#seed + 2 * index));
    const redis = await Link.open(this.redisPort, randomOf(this.#seed + 2 * index + 1));
    const links = [coordinator, redis];
    return {
      coordinator: `127.0.0.1:${coordinator.port}`,
      redisUrl: `redis://127.0.0.1:${redis.port}`,
      async cut() {
        for (const link of links) link.cut();
        return coordinator.connections > 0;
      },
      async weather(latencyMs, loss) {
        for (const link of links) link.weather = { latencyMs, loss };
        return coordinator.connections > 0;
      },
      async heal() {
        for (const link of links) link.heal();
      },
      close() {
        for (const link of links) link.close();
      },
    };
  }

  async close(): Promise<void> {}
}
