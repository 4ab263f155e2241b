/** A small MLflow tracking server: it takes what MLflow's REST API takes, and refuses what MLflow refuses (mlflow/utils/validation.py). */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FakeRun {
  readonly name: string;
  status: string;
  endTime: number | undefined;
  readonly params: Map<string, string>;
  readonly tags: Map<string, string>;
  /** In the order in which they came, with duplicates. */
  readonly metrics: {
    readonly key: string;
    readonly value: number;
    readonly timestamp: number;
    readonly step: number;
  }[];
}

type Body = Readonly<Record<string, unknown>>;

class Refused extends Error {
  readonly code: string;
  readonly status: number;
  constructor(code: string, why: string, status = 400) {
    super(why);
    this.code = code;
    this.status = status;
  }
}
const invalid = (why: string) => new Refused('INVALID_PARAMETER_VALUE', why);

const NAME = /^[/\w.\- ]*$/;

export class FakeMlflow {
  readonly experiments = new Map<string, string>();
  readonly runs = new Map<string, FakeRun>();
  /** The `authorization` headers of all requests. */
  readonly authorizations = new Set<string | undefined>();
  /** Answers all requests with this instead. */
  broken: { readonly status: number; readonly text: string; readonly location?: string } | undefined;
  /** Fails at what concerns this job's run. */
  failing = '';
  failures = 0;
  requests = 0;
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  async listen(port = 0): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** The run of a job. */
  runOf(job: string): FakeRun | undefined {
    const found = [...this.runs.values()].filter(({ tags }) => tags.get('kasane.job') === job);
    if (found.length > 1) throw new Error(`${job} has ${found.length} runs`);
    return found[0];
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.requests++;
    this.authorizations.add(request.headers.authorization);
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const text = Buffer.concat(pieces).toString();
    if (this.broken) {
      const { status, text: body, location } = this.broken;
      response.writeHead(status, location === undefined ? {} : { location }).end(body);
      return;
    }
    const { run_id: run = '' } = text === '' ? {} : (JSON.parse(text) as { run_id?: string });
    if (this.failing !== '' && this.runs.get(run)?.tags.get('kasane.job') === this.failing) {
      this.failures++;
      response.writeHead(500).end(JSON.stringify({ error_code: 'INTERNAL_ERROR', message: 'no row' }));
      return;
    }
    try {
      const answer = this.#handle(request, text);
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    } catch (error) {
      const { code, status, message } =
        error instanceof Refused ? error : new Refused('INTERNAL_ERROR', String(error), 500);
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error_code: code, message }));
    }
  }

  #handle(request: IncomingMessage, text: string): object {
    const url = new URL(request.url!, 'http://x');
    const path = url.pathname.replace('/api/2.0/mlflow/', '');
    if (request.method === 'GET' && path === 'experiments/get-by-name') {
      const id = this.experiments.get(url.searchParams.get('experiment_name')!);
      if (id === undefined) throw new Refused('RESOURCE_DOES_NOT_EXIST', 'no such experiment', 404);
      return { experiment: { experiment_id: id, lifecycle_stage: 'active' } };
    }
    if (request.method !== 'POST') throw new Refused('ENDPOINT_NOT_FOUND', path, 404);
    if (request.headers['content-type'] !== 'application/json') throw invalid('content type');
    if (text.length > 1e6) throw invalid('more than a megabyte');
    const body = JSON.parse(text) as Body;
    const act = this.#posts[path];
    if (!act) throw new Refused('ENDPOINT_NOT_FOUND', path, 404);
    return act(body);
  }

  readonly #posts: Readonly<Record<string, (body: Body) => object>> = {
    'experiments/create': ({ name }) => {
      if (this.experiments.has(String(name))) throw new Refused('RESOURCE_ALREADY_EXISTS', String(name));
      const id = String(this.experiments.size + 1);
      this.experiments.set(String(name), id);
      return { experiment_id: id };
    },
    'runs/search': ({ filter }) => {
      const [, job] = /^tags\.`kasane\.job` = '([^']*)'$/.exec(String(filter))!;
      const found = [...this.runs].filter(([, { tags }]) => tags.get('kasane.job') === job);
      return { runs: found.map(([run_id]) => ({ info: { run_id } })) };
    },
    'runs/create': ({ run_name, start_time, tags }) => {
      if (!Number.isInteger(start_time)) throw invalid('start_time');
      const id = `run${this.runs.size + 1}`;
      const run: FakeRun = {
        ...{ name: String(run_name), status: 'RUNNING', endTime: undefined },
        ...{ params: new Map(), tags: new Map(), metrics: [] },
      };
      for (const { key, value } of tags as { key: string; value: string }[]) run.tags.set(key, value);
      this.runs.set(id, run);
      return { run: { info: { run_id: id } } };
    },
    'runs/update': ({ run_id, status, end_time }) => {
      const run = this.#run(run_id);
      if (!['RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED'].includes(String(status)))
        throw invalid('status');
      run.status = String(status);
      run.endTime = end_time as number | undefined;
      return { run_info: {} };
    },
    'runs/log-batch': ({ run_id, metrics = [], params = [], tags = [] }) => {
      const run = this.#run(run_id);
      const lists = { metrics, params, tags } as Readonly<Record<string, Body[]>>;
      const most: Readonly<Record<string, number>> = { metrics: 1000, params: 100, tags: 100 };
      for (const [name, list] of Object.entries(lists))
        if (list.length > most[name]!) throw invalid(`${list.length} ${name}`);
      for (const { key } of Object.values(lists).flat()) checkName(String(key));
      for (const { key, value, timestamp, step } of lists.metrics as FakeRun['metrics'][number][]) {
        if (typeof value !== 'number' || !Number.isInteger(timestamp) || !Number.isInteger(step))
          throw invalid(key);
        run.metrics.push({ key, value, timestamp, step });
      }
      for (const { key, value } of lists.params as { key: string; value: string }[]) {
        if (typeof value !== 'string' || value.length > 500) throw invalid(`value of ${key}`);
        if (run.params.has(key) && run.params.get(key) !== value) throw invalid(`${key} has a value`);
        run.params.set(key, value);
      }
      for (const { key, value } of lists.tags as { key: string; value: string }[]) run.tags.set(key, value);
      return {};
    },
  };

  #run(id: unknown): FakeRun {
    const run = this.runs.get(String(id));
    if (!run) throw new Refused('RESOURCE_DOES_NOT_EXIST', `Run with id=${id} not found`, 404);
    return run;
  }
}

/** A name is also a path, and must be in its shortest form. */
function checkName(name: string): void {
  const parts = name.split('/');
  const isPath = parts.some((part) => part === '' || part === '.' || part === '..');
  if (name === '' || name.length > 250 || !NAME.test(name) || isPath) throw invalid(`name '${name}'`);
}
