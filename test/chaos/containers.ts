/**
 * Each process of a stage as a machine of its own: a container with its own address, on a private network from which it can be
 * taken. The processes are seen, stopped and killed from outside, by their numbers on this machine.
 */
import { execFile } from 'node:child_process';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '@kasane/cli/internal/redis/start';
import { checkout, makeImage } from '../support/image.ts';
import { has, needs } from '../support/needs.ts';
import { Child } from './child.ts';
import type { FaultName } from './faults.ts';
import type { Hosts, Start, WorkerNetwork } from './hosts.ts';

const run = promisify(execFile);
const IMAGE = 'kasane-chaos:local';
const TOKEN = 'a token of the punished';
const PORT = 7420;
const REDIS_PORT = 6379;
/** What a container may write to besides the stage's folder. */
const SCRATCH = '/scratch';

/** Why a fault is not for containers. */
export const notInContainers: Partial<Record<FaultName, string>> = {
  weather: 'it takes the kernel module sch_netem, which few hosts have loaded; between processes it is done',
};

export interface ContainerOptions {
  /** Of the stage: state, what Redis writes, the clock. */
  readonly directory: string;
  /** What jobs read. */
  readonly data: string;
  /** Folders of this machine that are needed besides. */
  readonly libraries: readonly string[];
}

export class Containers implements Hosts {
  readonly token = TOKEN;
  readonly redisOptions = ['--protected-mode', 'no'];
  readonly coordinatorOptions: readonly string[];
  readonly redisPort: number;
  readonly #port: number;
  readonly #network: string;
  readonly #options: ContainerOptions;
  /** By the name of a process, the container that it is now. */
  readonly #running = new Map<string, string>();
  #count = 0;

  /** @throws Error where there is no Docker engine */
  static async open(options: ContainerOptions): Promise<Containers> {
    const { what, get } = needs.docker;
    if (!has('docker')) throw new Error(`there is no ${what.replace(/^a /, '')}: ${get}`);
    await makeImage(IMAGE);
    const network = `kasane-chaos-${process.pid}-${await freePort()}`;
    await docker('network', 'create', network);
    return new Containers(options, network, await freePort(), await freePort());
  }

  private constructor(options: ContainerOptions, network: string, port: number, redisPort: number) {
    this.#options = options;
    this.#network = network;
    this.#port = port;
    this.redisPort = redisPort;
    const listen = ['--host', '0.0.0.0', '--port', String(PORT), '--redis', `redis://redis:${REDIS_PORT}`];
    this.coordinatorOptions = [...listen, '--data-root', options.data];
  }

  get coordinator(): string {
    return `127.0.0.1:${this.#port}`;
  }

  lacks(fault: FaultName): string | undefined {
    return notInContainers[fault];
  }

  async start({ role, name, command, env, onLine }: Start): Promise<Child> {
    const { directory, data, libraries } = this.#options;
    const container = `${this.#network}-${name}-${++this.#count}`;
    const mounts = [checkout, data, dirname(process.execPath), ...libraries].map(
      (path) => `${path}:${path}:ro`,
    );
    const published = {
      coordinator: [`${this.#port}:${PORT}`],
      redis: [`${this.redisPort}:${REDIS_PORT}`],
      worker: [],
    };
    const all = { ...env, HOME: SCRATCH, TMPDIR: SCRATCH, KASANE_TOKEN: TOKEN };
    const child = new Child(
      name,
      [
        ...['docker', 'run', '--rm', '--name', container, '--network', this.#network],
        ...['--network-alias', name, '--label', this.#network, '--tmpfs', SCRATCH],
        ...[`${directory}:${directory}`, ...mounts].flatMap((mount) => ['--volume', mount]),
        ...published[role].flatMap((ports) => ['--publish', `127.0.0.1:${ports}`]),
        ...Object.entries(all).flatMap(([key, value]) => ['--env', `${key}=${value}`]),
        ...[IMAGE, ...command],
      ],
      process.env,
      onLine,
    );
    child.runs(await this.#pid(child, container));
    this.#running.set(name, container);
    return child;
  }

  async network(index: number): Promise<WorkerNetwork> {
    const [network, running] = [this.#network, this.#running];
    const name = `worker-${index}`;
    let taken: string | undefined;
    return {
      coordinator: `coordinator:${PORT}`,
      redisUrl: `redis://redis:${REDIS_PORT}`,
      async cut() {
        taken = running.get(name)!;
        await docker('network', 'disconnect', '--force', network, taken);
        const networks = await docker('inspect', '--format', '{{len .NetworkSettings.Networks}}', taken);
        return networks.trim() === '0';
      },
      weather: async () => false,
      async heal() {
        if (taken) await docker('network', 'connect', '--alias', name, network, taken);
        taken = undefined;
      },
      close() {},
    };
  }

  async close(): Promise<void> {
    const left = (await docker('ps', '--all', '--quiet', '--filter', `label=${this.#network}`)).split('\n');
    for (const id of left.filter((id) => id !== '')) await docker('rm', '--force', id).catch(() => {});
    await docker('network', 'rm', this.#network);
  }

  /** Of the process in the container, once it runs. */
  async #pid(child: Child, container: string): Promise<number> {
    while (child.alive) {
      const pid = Number(await docker('inspect', '--format', '{{.State.Pid}}', container).catch(() => 0));
      if (pid > 0) return pid;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`${container} ended at once: ${child.lines.map(({ text }) => text).join('\n')}`);
  }
}

const docker = async (...args: string[]): Promise<string> => (await run('docker', args)).stdout;
