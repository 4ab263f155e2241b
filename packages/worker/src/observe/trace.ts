/**
 * A worker's activity as events in the Chrome trace format, for Perfetto (ui.perfetto.dev) and chrome://tracing: kernels and their layers
 * on a row per slot, tasks with their waits and transfers beside them. Events are written as they come; the format allows a list without
 * an end, so the trace of a killed worker is readable, too.
 * Source: "Trace Event Format", Google, sections "JSON Array Format", "Complete Events" and "Async Events".
 */
import { RecordFile } from '@kasane/tensor/internal/node/record-file';

/** One kernel that a slot computed. Times are milliseconds, the start since 1970. */
export interface KernelSpan {
  readonly op: string;
  /** Empty for what belongs to no layer: the loss, sums of gradients. */
  readonly layer: string;
  readonly pass: 'forward' | 'backward';
  readonly start: number;
  readonly duration: number;
}

/** Part of a task: waiting in a queue, being sent, being computed. */
export type TaskPart = 'queue' | 'network' | 'compute';

/** Limit of events in a file, about 60 MB; later ones are dropped. */
const MOST_EVENTS = 400_000;
/** Milliseconds since 1970, with a finer resolution than Date. */
export const traceClock = (): number => performance.timeOrigin + performance.now();

export class Trace {
  readonly #file: RecordFile;
  readonly #pid = process.pid;
  #left = MOST_EVENTS;
  #open = true;
  #spans = 0;

  /**
   * @param onTrouble called once if the disk refuses writes, and once if the file was deleted
   * @throws the system's error, with the path, if the file cannot be created
   */
  constructor(path: string, worker: string, onTrouble: (what: string) => void = () => {}) {
    this.#file = new RecordFile(path, { head: Buffer.from('[\n'), onTrouble });
    this.#write([{ name: 'process_name', ph: 'M', args: { name: `worker ${worker}` } }]);
  }

  /** A run of a slot: its kernels, and above them the layers of adjacent ones. */
  kernels(slot: number, spans: readonly KernelSpan[]): void {
    const events: object[] = [];
    let layer: { name: string; args: object; start: number; end: number } | undefined;
    const close = () => {
      if (layer) events.push(this.#complete(slot, layer.name, 'layer', layer.start, layer.end, layer.args));
    };
    for (const { op, layer: own, pass, start, duration } of spans) {
      const name = `${own || 'loss and sums'}, ${pass}`;
      if (layer?.name !== name) {
        close();
        layer = { name, args: { layer: own, pass }, start, end: start };
      }
      layer.end = start + duration;
      events.push(this.#complete(slot, op, 'kernel', start, start + duration, { layer: own, pass }));
    }
    close();
    this.#write(events);
  }

  /** Times a part of a task, which may overlap with those of others. */
  async part<T>(name: string, kind: TaskPart, args: object, body: () => Promise<T>): Promise<T> {
    const start = traceClock();
    try {
      return await body();
    } finally {
      const common = { name, cat: kind, id: ++this.#spans };
      this.#write([
        { ...common, ph: 'b', ts: 1000 * start, args },
        { ...common, ph: 'e', ts: 1000 * traceClock() },
      ]);
    }
  }

  /** Safe to call twice. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    const last = {
      name: 'process_sort_index',
      ph: 'M',
      pid: this.#pid,
      tid: 0,
      args: { sort_index: this.#pid },
    };
    this.#file.write(Buffer.from(`${JSON.stringify(last)}]\n`));
    this.#file.close();
  }

  #complete(slot: number, name: string, cat: string, start: number, end: number, args: object): object {
    return { name, cat, ph: 'X', tid: slot + 1, ts: 1000 * start, dur: 1000 * (end - start), args };
  }

  #write(events: readonly object[]): void {
    if (!this.#open || this.#left < events.length) return;
    this.#left -= events.length;
    const lines = events.map((event) => `${JSON.stringify({ pid: this.#pid, tid: 0, ...event })},\n`);
    this.#file.write(Buffer.from(lines.join('')));
  }
}
