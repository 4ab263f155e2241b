/**
 * Hosts of their own on one machine: network namespaces, each with a link to a bridge in another one that is shaped both ways. Nothing of
 * it is in the machine's own network; what a run that was killed has left is removed by the next.
 */
import { execFileSync, type SpawnOptions, spawn } from 'node:child_process';
import { messageOf } from '@kasane/protocol/errors';

const PREFIX = 'kasane-bench-';
/** What the names of this process's namespaces begin with. */
const OWN = `${PREFIX}${process.pid}-`;
/** Bytes that pass at once, and milliseconds of traffic that a link holds back before it drops some. */
const SHAPE = ['burst', '512kb', 'latency', '100ms'];

/** Bytes of one host's link. */
export interface Traffic {
  readonly sent: number;
  readonly received: number;
}

export class Hosts {
  /** What the names of its namespaces begin with. */
  readonly name: string;
  readonly count: number;

  /** Those that another process has made. */
  constructor(name: string, count: number) {
    this.name = name;
    this.count = count;
  }

  /**
   * Makes so many, one time after the other, which are gone after `removeHosts`, or when this process ends.
   * @param rate of each link, both ways, as tc has it: 1gbit, 100mbit
   */
  static open(count: number, rate: string): Hosts {
    const hosts = new Hosts(OWN, count);
    process.off('exit', removeHosts).on('exit', removeHosts);
    try {
      hosts.#make(rate);
    } catch (error) {
      removeHosts();
      throw error;
    }
    return hosts;
  }

  #make(rate: string): void {
    const hub = `${this.name}hub`;
    run('ip', 'netns', 'add', hub);
    run('ip', '-n', hub, 'link', 'add', 'bridge', 'type', 'bridge');
    run('ip', '-n', hub, 'link', 'set', 'bridge', 'up');
    for (let host = 0; host < this.count; host++) {
      const [space, port] = [this.#space(host), `port${host}`];
      run('ip', 'netns', 'add', space);
      run('ip', '-n', hub, 'link', 'add', port, 'type', 'veth', 'peer', 'name', DEVICE, 'netns', space);
      run('ip', '-n', space, 'link', 'set', 'lo', 'up');
      run('ip', '-n', space, 'addr', 'add', `${this.address(host)}/24`, 'dev', DEVICE);
      run('ip', '-n', space, 'link', 'set', DEVICE, 'up');
      run('ip', '-n', hub, 'link', 'set', port, 'master', 'bridge', 'up');
      run('tc', '-n', space, 'qdisc', 'add', 'dev', DEVICE, 'root', 'tbf', 'rate', rate, ...SHAPE);
      run('tc', '-n', hub, 'qdisc', 'add', 'dev', port, 'root', 'tbf', 'rate', rate, ...SHAPE);
    }
  }

  address(host: number): string {
    return `10.77.0.${host + 1}`;
  }

  /** Starts a program on a host. */
  spawn(host: number, program: string, args: readonly string[], options: SpawnOptions) {
    return spawn('ip', ['netns', 'exec', this.#space(host), program, ...args], options);
  }

  /** What the links have carried until now, by host. */
  traffic(): Traffic[] {
    const text = run('ip', 'netns', 'exec', `${this.name}hub`, 'cat', '/proc/net/dev');
    return Array.from({ length: this.count }, (_, host) => {
      const line = text.split('\n').find((one) => one.trim().startsWith(`port${host}:`)) ?? '';
      // The bridge receives what the host sends: the first number of a port's line, and the ninth.
      const numbers = line.split(':')[1]?.trim().split(/\s+/).map(Number) ?? [];
      return { sent: numbers[0] ?? 0, received: numbers[8] ?? 0 };
    });
  }

  #space(host: number): string {
    return `${this.name}${host}`;
  }
}

/** Ends all that runs on the hosts that this process has made, and takes them away. Safe to call twice. */
export const removeHosts = () => remove((space) => space.startsWith(OWN));

/** Of each host's end of its link. */
export const DEVICE = 'eth0';

/** Why there can be no hosts on this machine; undefined: there can be. Removes what earlier runs have left. */
export function whyNoHosts(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces need Linux';
  if (process.getuid?.() !== 0) return 'network namespaces need root: run it as root, or with sudo';
  for (const tool of ['ip', 'tc']) {
    try {
      run(tool, '-V');
    } catch {
      return `network namespaces need ${tool}: apt-get install iproute2`;
    }
  }
  try {
    remove((space) => {
      const owner = Number(space.match(new RegExp(`^${PREFIX}(\\d+)-`))?.[1]);
      return owner > 0 && !isAlive(owner);
    });
    Hosts.open(1, '1gbit');
    removeHosts();
    return undefined;
  } catch (error) {
    return `the kernel makes no network namespaces with shaped links here: ${messageOf(error)}`;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function remove(isMeant: (space: string) => boolean): void {
  const spaces = run('ip', 'netns', 'list').split('\n');
  for (const space of spaces.map((line) => line.split(' ')[0]!).filter(isMeant)) {
    for (const pid of run('ip', 'netns', 'pids', space).split('\n').map(Number)) {
      try {
        if (pid > 0) process.kill(pid, 'SIGKILL');
      } catch {} // It has ended.
    }
    run('ip', 'netns', 'del', space);
  }
}

/** Returns what a program printed. @throws Error with what it complained of */
function run(program: string, ...args: readonly string[]): string {
  try {
    return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    throw new Error(`${program} ${args.join(' ')}: ${stderr?.trim() || messageOf(error)}`);
  }
}
