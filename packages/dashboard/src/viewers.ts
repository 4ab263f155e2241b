/** The pages that look, each with an event stream: jobs and cluster as they change, and the metrics history of the job that it shows. */
import type { ServerResponse } from 'node:http';
import type { CoordinatorClient } from '@kasane/protocol/client';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import type { Event, Job, StepMetrics, WatchMetricsResponse } from '@kasane/protocol/gen/kasane/v1/jobs';
import { isId } from '@kasane/protocol/internal/job/job-name';
import { resultsOf, runRecord } from '@kasane/protocol/internal/job/runs';
import { hasEnded } from '@kasane/protocol/job-state';
import { JOBS_PAGE, SHARD_POINTS, SHOWN_JOBS } from '@kasane/protocol/limits';
import { followSweep } from './sweep-stream.ts';

/** How often the coordinator is asked while somebody looks. */
const POLL_MS = 500;
/** Of so many times once for all jobs that are shown; otherwise for the newest. */
const POLLS_OF_ALL = 10;
/** Every so many times also for the list of sweeps. */
const POLLS_OF_SWEEPS = 4;
/** Bytes that a page may be behind before it is cut off; it comes back by itself. */
const BEHIND_BYTES = 16 << 20;
/** Bytes that all pages may be behind together: then those that are most behind are cut off. */
const ALL_BEHIND_BYTES = 64 << 20;
/** Bytes behind that everybody may be at any time. */
const LITTLE_BYTES = 256 << 10;
/** Pages at once. */
export const VIEWERS = 64;

/** Headers of a stream of events. */
export const EVENTS = { 'content-type': 'text/event-stream' };

/** What a page shows of a metrics history: its curves, those of layers with them, or who computed the newest steps. Of deep networks and of
 * hundreds of shards the latter two are heavy, and no view wants all. Tables show nothing of it. */
export const PARTS = ['curves', 'layers', 'steps', 'sweeps', 'sweep', 'runs'] as const;
export type Part = (typeof PARTS)[number];

/** A page that looks. */
interface Viewer {
  stop: () => void;
  readonly part: Part;
  /** Whose metrics history is sent too; empty for none. */
  readonly job: string;
  /** The sweep that is shown; empty for none. */
  readonly sweep: string;
}

/** Tables are sent columns instead of jobs. */
const isTable = (part: Part): boolean => part === 'sweeps' || part === 'sweep' || part === 'runs';

export class Viewers {
  readonly #client: CoordinatorClient;
  readonly #coordinator: string;
  readonly #viewers = new Map<ServerResponse, Viewer>();
  #timer: NodeJS.Timeout | undefined;
  #polling = false;
  #polls = 0;
  #closed = false;
  /** Of each job and of the cluster, what was sent last, as JSON. */
  #jobs = new Map<string, string>();
  #cluster = '';
  #sweeps = '';
  #problem = '';
  /** Of jobs, by the last answer that there was. */
  #states = new Map<string, JobState>();

  constructor(client: CoordinatorClient, coordinator: string) {
    this.#client = client;
    this.#coordinator = coordinator;
  }

  get full(): boolean {
    return this.#viewers.size >= VIEWERS;
  }

  /** @param subject the job whose metrics history is sent too, or the sweep of `part` sweep; empty for none */
  add(response: ServerResponse, subject: string, part: Part): void {
    response.writeHead(200, EVENTS);
    const name = isId(subject) ? subject : '';
    const viewer: Viewer = {
      ...{ stop: () => {}, part },
      ...{ job: isTable(part) ? '' : name, sweep: part === 'sweep' ? name : '' },
    };
    this.#viewers.set(response, viewer);
    if (subject && !name) this.#send(response, 'missing', JSON.stringify(subject));
    if (viewer.job) this.#follow(response, viewer);
    if (viewer.sweep)
      viewer.stop = followSweep(this.#client, viewer.sweep, (event, value) =>
        this.#send(response, event, JSON.stringify(value)),
      );
    response.on('close', () => {
      viewer.stop();
      this.#viewers.delete(response);
    });
    if (this.#cluster) {
      if (!isTable(part)) this.#send(response, 'jobs', listOf(this.#jobs.values()));
      this.#send(response, 'cluster', this.#cluster);
    }
    if (part === 'sweeps') {
      if (this.#sweeps) this.#send(response, 'sweeps', this.#sweeps);
      this.hurry();
    }
    if (this.#problem) this.#send(response, 'problem', JSON.stringify(this.#problem));
    if (!this.#polling) void this.#poll();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const [response, { stop }] of this.#viewers) {
      stop();
      response.end();
    }
    this.#viewers.clear();
  }

  /** Asks now: somebody has changed something. */
  hurry(): void {
    if (!this.#timer) return;
    this.#polls = 0;
    clearTimeout(this.#timer);
    void this.#poll();
  }

  /** Sends a job's metrics history, and with its curves what happens to it. */
  #follow(response: ServerResponse, viewer: Viewer): void {
    const { job, part } = viewer;
    const metrics = this.#keepOpen(job, (ended) => {
      let first = true;
      const take = part === 'steps' ? newestSteps() : part === 'layers' ? withLayers : curvesOnly;
      return this.#client.watchMetrics(
        job,
        (message) => {
          const told = take(message);
          if (!told) return;
          this.#send(response, first ? 'metrics' : 'more', JSON.stringify(told));
          first = false;
        },
        () => ended(!first),
      );
    });
    const events = part === 'curves' ? this.#followEvents(response, job) : () => {};
    viewer.stop = () => {
      metrics();
      events();
    };
  }

  /** @returns what ends it */
  #followEvents(response: ServerResponse, job: string): () => void {
    return this.#keepOpen(job, (ended) => {
      let past: Event[] | undefined = [];
      return this.#client.listenToEvents(
        job,
        ({ events, more }) => {
          past?.push(...events);
          if (!past) this.#send(response, 'happens', JSON.stringify(events));
          else if (!more) {
            this.#send(response, 'happened', JSON.stringify(past));
            past = undefined;
          }
        },
        () => ended(past === undefined),
      );
    });
  }

  /**
   * Keeps a stream of a job open: one that ends before the job is known to have ended is opened again.
   * @param open is given what is to be called when the stream has ended, with whether anything came of it; returns what closes it
   * @returns what ends it for good
   */
  #keepOpen(job: string, open: (ended: (hasBegun: boolean) => void) => () => void): () => void {
    let closed = false;
    let retry: NodeJS.Timeout;
    const begin = () =>
      open((hasBegun) => {
        // One that waits has no metrics yet.
        const over = hasEnded(this.#states.get(job) ?? JobState.JOB_STATE_UNSPECIFIED);
        if (closed || (over && hasBegun)) return;
        retry = setTimeout(() => (cancel = begin()), hasBegun ? 3000 : 1000);
      });
    let cancel = begin();
    return () => {
      closed = true;
      clearTimeout(retry);
      cancel();
    };
  }

  /** Asks the coordinator again and again while somebody looks; there is one such loop at most. */
  async #poll(): Promise<void> {
    this.#polling = true;
    this.#timer = undefined;
    try {
      const [{ jobs, missing, all }, cluster] = await Promise.all([this.#list(), this.#client.status()]);
      // What is not listed any more is forgotten: jobs come for months.
      if (all) this.#states.clear();
      const before = this.#jobs;
      if (all) this.#jobs = new Map();
      const changed: Job[] = [];
      for (const job of jobs) {
        const json = JSON.stringify(job);
        if (before.get(job.id) !== json) changed.push(job);
        this.#jobs.set(job.id, json);
        this.#states.set(job.id, job.state);
      }
      const gone = [...before.keys()].filter((id) => !this.#jobs.has(id));
      if (gone.length > 0) this.#broadcast('gone', JSON.stringify(gone));
      const first = this.#cluster === '';
      this.#cluster = JSON.stringify(cluster);
      if (changed.length > 0 || first) this.#tell(changed, first);
      this.#broadcast('cluster', this.#cluster);
      await this.#tellOfSweeps();
      for (const [response, { job }] of this.#viewers)
        if (missing.has(job)) this.#send(response, 'missing', JSON.stringify(job));
      if (this.#problem) this.#broadcast('problem', JSON.stringify(''));
      this.#problem = '';
    } catch (error) {
      const problem = `${this.#coordinator}: ${messageOf(error)}`;
      if (problem !== this.#problem) this.#broadcast('problem', JSON.stringify(problem));
      this.#problem = problem;
    }
    this.#polling = this.#viewers.size > 0 && !this.#closed;
    if (!this.#polling) this.#forget();
    if (this.#polling) this.#timer = setTimeout(() => void this.#poll(), POLL_MS);
  }

  /** Sends jobs that have changed; to pages with tables, only their columns. @param first whether these are all jobs, which tables fetch themselves */
  #tell(changed: readonly Job[], first: boolean): void {
    const json = listOf(changed.map(({ id }) => this.#jobs.get(id)!));
    for (const [response, { part, sweep }] of this.#viewers) {
      if (!isTable(part)) this.#send(response, 'jobs', json);
      else if (part !== 'sweeps' && !first) {
        const shown = sweep ? changed.filter((job) => job.sweep === sweep) : changed;
        if (shown.length > 0) this.#send(response, 'rows', JSON.stringify(shown.map(rowOf)));
      }
    }
  }

  async #tellOfSweeps(): Promise<void> {
    const isDue = this.#sweeps === '' || this.#polls % POLLS_OF_SWEEPS === 1;
    const asking = [...this.#viewers].flatMap(([response, { part }]) =>
      part === 'sweeps' ? [response] : [],
    );
    if (asking.length === 0 || !isDue) return;
    const list = await this.#client.sweeps.list();
    const json = JSON.stringify(list.map((sweep) => ({ ...sweep, search: '' })));
    if (json === this.#sweeps) return;
    this.#sweeps = json;
    for (const response of asking) this.#send(response, 'sweeps', json);
  }

  /** The newest jobs, now and then more of them; those that are followed with more of their history. */
  async #list(): Promise<{
    readonly jobs: readonly Job[];
    /** Jobs that are followed, and do not exist. */
    readonly missing: ReadonlySet<string>;
    readonly all: boolean;
  }> {
    const all = this.#polls++ % POLLS_OF_ALL === 0;
    const followed = new Set([...this.#viewers.values()].flatMap(({ job }) => job || []));
    const missing = new Set<string>();
    const get = (id: string) =>
      this.#client.get(id).catch((error: unknown) => {
        if (!(error instanceof KasaneError) || error.code !== 'JOB_NOT_FOUND') throw error;
        missing.add(id);
        return undefined;
      });
    const [jobs, whole] = await Promise.all([
      this.#client.list(all ? SHOWN_JOBS : JOBS_PAGE),
      Promise.all([...followed].map(get)),
    ]);
    const isWhole = all || jobs.length < JOBS_PAGE;
    const known = new Map(whole.flatMap((job) => (job ? [[job.id, job] as const] : [])));
    const rest = jobs.filter(({ id }) => !known.has(id));
    return {
      jobs: [...known.values(), ...rest].sort((a, b) => b.submittedAt - a.submittedAt),
      missing,
      all: isWhole,
    };
  }

  /** Nobody looks any more. */
  #forget(): void {
    this.#jobs = new Map();
    this.#states = new Map();
    this.#cluster = '';
    this.#sweeps = '';
    this.#polls = 0;
  }

  #broadcast(event: string, json: string): void {
    for (const response of this.#viewers.keys()) this.#send(response, event, json);
  }

  #send(response: ServerResponse, event: string, json: string): void {
    if (response.writableLength > BEHIND_BYTES) response.destroy();
    else response.write(`event: ${event}\ndata: ${json}\n\n`);
    if (response.writableLength > LITTLE_BYTES) this.#cutOff();
  }

  #cutOff(): void {
    const open = [...this.#viewers.keys()].filter(({ destroyed }) => !destroyed);
    let all = open.reduce((sum, { writableLength }) => sum + writableLength, 0);
    if (all <= ALL_BEHIND_BYTES) return;
    for (const response of open.sort((a, b) => b.writableLength - a.writableLength)) {
      if (all <= ALL_BEHIND_BYTES) return;
      all -= response.writableLength;
      response.destroy();
    }
  }
}

type Take = (message: WatchMetricsResponse) => WatchMetricsResponse | undefined;

const withLayers: Take = (message) => ({
  ...message,
  points: message.points.map((point) => ({ ...point, workers: [], shards: [] })),
});

const curvesOnly: Take = (message) => ({
  ...message,
  points: message.points.map((point) => ({ ...point, layers: [], workers: [], shards: [] })),
  gradients: [],
  activations: [],
});

/** Holds back what a metrics history begins with until all of it is there, and lets through its newest steps. */
function newestSteps(): Take {
  let held: StepMetrics[] = [];
  let first = true;
  return ({ points, more }) => {
    held = [...held, ...points.filter(({ shards }) => shards.length > 0)].slice(-SHARD_POINTS);
    if (more || (!first && held.length === 0)) return undefined;
    const told = held.map((point) => ({ ...point, layers: [] }));
    held = [];
    first = false;
    return { layers: [], spec: '', points: told, more: false, gradients: [], activations: [] };
  };
}

/** The columns of a job that can change. */
const rowOf = (job: Job) => ({ job: job.id, values: resultsOf({ record: runRecord(job) }) });

const listOf = (jsons: Iterable<string>) => `[${[...jsons].join()}]`;
