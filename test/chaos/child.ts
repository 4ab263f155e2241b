/** A process of the cluster that is punished: its output line by line, and its end. It dies with the process that started it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const SETPRIV = '/usr/bin/setpriv';

/** How a process that was killed ends, by its container. */
const KILLED = 128 + 9;
/** Lines kept of each process. */
const LINES = 2_000;

export interface Line {
  /** Milliseconds of this process's monotonic clock. */
  readonly at: number;
  readonly from: string;
  readonly text: string;
}

export class Child {
  readonly name: string;
  readonly process: ChildProcess;
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  readonly #lines: Line[] = [];
  readonly #listeners = new Set<(line: Line) => void>();
  #pid: number | undefined;
  #exit: string | undefined;

  constructor(
    name: string,
    command: readonly string[],
    env: NodeJS.ProcessEnv,
    onLine: (line: Line) => void = () => {},
  ) {
    this.name = name;
    const words = existsSync(SETPRIV) ? [SETPRIV, '--pdeathsig', 'KILL', ...command] : command;
    this.process = spawn(words[0]!, words.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...env, NO_COLOR: '1' },
    });
    for (const stream of [this.process.stdout!, this.process.stderr!]) {
      createInterface({ input: stream }).on('line', (text) => {
        const line = { at: performance.now(), from: name, text };
        this.#lines.push(line);
        if (this.#lines.length > LINES) this.#lines.shift();
        onLine(line);
        for (const listener of [...this.#listeners]) listener(line);
      });
    }
    this.exited = once(this.process, 'exit').then(([code, signal]) => {
      this.#exit = `ended with ${signal ?? code}`;
      // A container says it as shells do.
      return this.#pid !== undefined && code === KILLED
        ? { code: null, signal: 'SIGKILL' }
        : { code, signal };
    });
    this.exited.catch(() => {});
  }

  /** What was started lets another process run, in a container: signals are for that one, by its number on this machine. */
  runs(pid: number): void {
    this.#pid = pid;
  }

  get pid(): number {
    return this.#pid ?? this.process.pid!;
  }

  get alive(): boolean {
    return this.#exit === undefined;
  }

  get lines(): readonly Line[] {
    return this.#lines;
  }

  /** The first line that matches, of those since `since`, already there or yet to come. Rejects when the process ends first. */
  async line(pattern: RegExp, timeoutMs: number, since = 0): Promise<Line & { match: RegExpExecArray }> {
    const found = (line: Line) => {
      const match = line.at >= since ? pattern.exec(line.text) : null;
      return match && { ...line, match };
    };
    for (const line of this.#lines) {
      const known = found(line);
      if (known) return known;
    }
    let listener: (line: Line) => void = () => {};
    let timer: NodeJS.Timeout | undefined;
    const heard = new Promise<Line & { match: RegExpExecArray }>((resolve, reject) => {
      listener = (line) => {
        const now = found(line);
        if (now) resolve(now);
      };
      this.#listeners.add(listener);
      timer = setTimeout(() => reject(this.#complaint(`did not say ${pattern}`)), timeoutMs);
      void this.exited.then(() => reject(this.#complaint(`did not say ${pattern} and ${this.#exit}`)));
    });
    return heard.finally(() => {
      clearTimeout(timer);
      this.#listeners.delete(listener);
    });
  }

  signal(signal: NodeJS.Signals): void {
    if (this.alive) process.kill(this.pid, signal);
  }

  /** SIGKILL, and waits for the end. */
  async kill(): Promise<void> {
    if (!this.alive) return;
    this.signal('SIGKILL');
    await this.exited;
  }

  /** Kilobytes in memory, by /proc. */
  get residentKb(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0);
  }

  /** CPU seconds used so far, by /proc. */
  get cpuSeconds(): number {
    const fields = this.#stat();
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }

  /** How often its threads have begun to wait for something: so often they were woken, whatever else the machine does. */
  get waits(): number {
    return readdirSync(`/proc/${this.pid}/task`).reduce((sum, thread) => {
      const status = readFileSync(`/proc/${this.pid}/task/${thread}/status`, 'utf8');
      return sum + Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(status)![1]);
    }, 0);
  }

  /** R, S, T (stopped), Z, ... */
  get state(): string {
    return this.#stat()[0]!;
  }

  /** Fields of /proc/PID/stat after the name. */
  #stat(): string[] {
    return readFileSync(`/proc/${this.pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
  }

  #complaint(what: string): Error {
    const last = this.#lines.slice(-15).map(({ text }) => `    ${text}`);
    return new Error([`${this.name} ${what}; its last lines:`, ...last].join('\n'));
  }
}
