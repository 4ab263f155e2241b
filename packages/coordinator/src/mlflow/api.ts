/** The part of MLflow's REST API that is used here, as https://mlflow.org/docs/latest/rest-api.html describes it. Knows nothing of jobs. */
import type { IncomingMessage, Agent as PlainAgent, RequestOptions } from 'node:http';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { VERSION } from '../version.ts';

export interface MlflowOptions {
  /** Of the tracking server, such as http://127.0.0.1:5000. */
  readonly url: string;
  /** Name of the experiment whose runs the jobs are; created if it does not exist. */
  readonly experiment: string;
  /** Bearer token; if `user` and `password` are set, they are used instead, as in MLflow's own client. */
  readonly token?: string | undefined;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** Milliseconds between two looks for something to send. Default 5000. */
  readonly intervalMs?: number;
}

/** Limits of MLflow for requests (mlflow/utils/validation.py); values are cut to what older versions accept. */
export const MOST_METRICS = 900;
export const MOST_PARAMS = 100;
export const KEY_TEXT = 250;
export const PARAM_TEXT = 500;
export const TAG_TEXT = 5000;

const TIMEOUT_MS = 10_000;
/** Limit of an answer; those that are read have a few hundred bytes. */
const MOST_BYTES = 1 << 20;
/** Characters that are kept of a server's error message. */
const REASON_TEXT = 300;

/** Why MLflow did not accept a request, or could not be reached. */
export class MlflowError extends Error {
  override readonly name = 'MlflowError';
  /** MLflow's own code; empty: the answer is not MLflow's. */
  readonly code: string;
  /** The same request may be accepted later. */
  readonly isPassing: boolean;
  /** It failed at this request (an error of the server's): others may be accepted. */
  readonly isOfRequest: boolean;

  constructor(message: string, isPassing: boolean, code = '', isOfRequest = false) {
    super(message);
    this.isPassing = isPassing;
    this.code = code;
    this.isOfRequest = isOfRequest;
  }
}

export interface Metric {
  readonly key: string;
  readonly value: number;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  readonly step: number;
}
export interface Pair {
  readonly key: string;
  readonly value: string;
}
export type RunStatus = 'RUNNING' | 'SCHEDULED' | 'FINISHED' | 'FAILED' | 'KILLED';

/** @throws KasaneError USAGE */
export function checkMlflow({ url, experiment, token, user, password }: MlflowOptions): URL {
  const refuse = (why: string) => new KasaneError('USAGE', `--mlflow ${why}`);
  const right = 'expected the address of a tracking server, such as http://127.0.0.1:5000';
  if (!URL.canParse(url)) throw refuse(`${url}: ${right}`);
  const parsed = new URL(url);
  if (parsed.username !== '' || parsed.password !== '')
    throw refuse(
      'has a user or password in its URL; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead',
    );
  if (!/^https?:$/.test(parsed.protocol) || parsed.search !== '' || parsed.hash !== '')
    throw refuse(`${url}: ${right}`);
  if (experiment === '' || experiment.length > KEY_TEXT)
    throw new KasaneError('USAGE', `--mlflow-experiment: expected 1 to ${KEY_TEXT} characters`);
  if ((user === undefined) !== (password === undefined))
    throw new KasaneError(
      'USAGE',
      'MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD belong together: set both or neither',
    );
  if ([token, user, password].some((text) => /[^\x20-\x7e]/.test(text ?? '')))
    throw new KasaneError(
      'USAGE',
      'MLFLOW_TRACKING_TOKEN, _USERNAME and _PASSWORD: expected printable ASCII',
    );
  return parsed;
}

export class MlflowApi {
  readonly #base: URL;
  readonly #authorization: string | undefined;
  /** What must not be told, whatever the server says. */
  readonly #secrets: readonly string[];
  /** Not the global agent, which may go through a proxy (NODE_USE_ENV_PROXY): no connection of Kasane does. */
  #agent: PlainAgent | undefined;
  readonly #closed = new AbortController();

  /** @throws KasaneError USAGE */
  constructor(options: MlflowOptions) {
    this.#base = checkMlflow(options);
    const { token, user, password } = options;
    const basic = user !== undefined && Buffer.from(`${user}:${password}`).toString('base64');
    this.#secrets = [basic, token, password].flatMap((secret) => secret || []);
    this.#authorization = basic ? `Basic ${basic}` : token ? `Bearer ${token}` : undefined;
  }

  /** Aborts pending requests. */
  close(): void {
    this.#closed.abort();
    this.#agent?.destroy();
  }

  /** The ID of the experiment with that name, which is created if it does not exist. @throws MlflowError */
  async experiment(name: string): Promise<string> {
    const found = await this.#experimentNamed(name);
    if (found !== undefined) return found;
    try {
      const { experiment_id } = await this.#post('experiments/create', { name });
      return textOf(experiment_id, 'experiment_id');
    } catch (error) {
      // Somebody else has created it in the meantime.
      if (!(error instanceof MlflowError) || error.code !== 'RESOURCE_ALREADY_EXISTS') throw error;
    }
    const made = await this.#experimentNamed(name);
    if (made === undefined)
      throw new MlflowError(`the experiment '${name}' has been deleted: restore it or use another`, true);
    return made;
  }

  async #experimentNamed(name: string): Promise<string | undefined> {
    const query = `experiment_name=${encodeURIComponent(name)}`;
    try {
      const { experiment } = await this.#call('GET', `experiments/get-by-name?${query}`);
      const { experiment_id, lifecycle_stage } = fieldsOf(experiment);
      return lifecycle_stage === 'deleted' ? undefined : textOf(experiment_id, 'experiment_id');
    } catch (error) {
      if (error instanceof MlflowError && error.code === 'RESOURCE_DOES_NOT_EXIST') return undefined;
      throw error;
    }
  }

  /** The run that has a tag; undefined where there is none. @throws MlflowError */
  async runWith(experiment: string, { key, value }: Pair): Promise<string | undefined> {
    const { runs } = await this.#post('runs/search', {
      experiment_ids: [experiment],
      filter: `tags.\`${key}\` = '${value}'`,
      max_results: 1,
    });
    const [run] = Array.isArray(runs) ? runs : [];
    return run === undefined ? undefined : textOf(fieldsOf(fieldsOf(run).info).run_id, 'run_id');
  }

  /** Returns the run's ID. @throws MlflowError */
  async createRun(
    experiment: string,
    run: { readonly name: string; readonly startTime: number; readonly tags: readonly Pair[] },
  ): Promise<string> {
    const { run: made } = await this.#post('runs/create', {
      experiment_id: experiment,
      run_name: run.name,
      start_time: run.startTime,
      tags: run.tags,
    });
    return textOf(fieldsOf(fieldsOf(made).info).run_id, 'run_id');
  }

  /** @param endTime milliseconds since 1970, of a run that is over @throws MlflowError */
  async setStatus(run: string, status: RunStatus, endTime?: number): Promise<void> {
    await this.#post('runs/update', {
      run_id: run,
      status,
      ...(endTime !== undefined && { end_time: endTime }),
    });
  }

  /** Within the limits of one request. @throws MlflowError */
  async log(
    run: string,
    batch: {
      readonly metrics?: readonly Metric[];
      readonly params?: readonly Pair[];
      readonly tags?: readonly Pair[];
    },
  ): Promise<void> {
    await this.#post('runs/log-batch', { run_id: run, ...batch });
  }

  #post(path: string, body: object): Promise<Fields> {
    return this.#call('POST', path, JSON.stringify(body));
  }

  async #call(method: 'GET' | 'POST', path: string, body?: string): Promise<Fields> {
    const base = this.#base.href.replace(/\/+$/, '');
    const url = new URL(`${base}/api/2.0/mlflow/${path}`);
    const { status, text, location } = await this.#request(url, method, body);
    if (status >= 300 && status < 400)
      throw new MlflowError(
        `it redirects to ${location === undefined ? 'another address' : this.#told(location)}: use that address`,
        true,
      );
    const answer = parsed(text);
    if (status === 200 && answer) return answer;
    const { error_code, message } = answer ?? {};
    const said = typeof message === 'string' ? `: ${this.#told(message)}` : '';
    if (status === 200) throw new MlflowError('its answer is not JSON, so it is not an MLflow server', true);
    const code = typeof error_code === 'string' ? error_code : '';
    // An answer without a code of MLflow's may come from a proxy. What is forbidden now may be allowed later.
    const isPassing = status >= 500 || status === 429 || status === 401 || status === 403 || code === '';
    const hint =
      status === 401 || status === 403
        ? '; check MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD'
        : '';
    throw new MlflowError(`status ${status}${said}${hint}`, isPassing, code, status >= 500);
  }

  /** What the server says, as it may be recorded: some repeat what they were sent. */
  #told(text: string): string {
    return this.#secrets.reduce((told, secret) => told.replaceAll(secret, '***'), text).slice(0, REASON_TEXT);
  }

  async #request(url: URL, method: string, body: string | undefined) {
    const isSecure = url.protocol === 'https:';
    // Imported where it is needed, as for data from URLs.
    const { request, Agent } = await import(isSecure ? 'node:https' : 'node:http');
    this.#agent ??= new Agent({ keepAlive: true, maxSockets: 1 });
    const headers = {
      accept: 'application/json',
      'user-agent': `kasane/${VERSION}`,
      ...(body !== undefined && {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
      }),
      ...(this.#authorization !== undefined && { authorization: this.#authorization }),
    };
    const signal = AbortSignal.any([this.#closed.signal, AbortSignal.timeout(TIMEOUT_MS)]);
    const options: RequestOptions = { method, headers, signal, ...(this.#agent && { agent: this.#agent }) };
    return new Promise<{ status: number; text: string; location: string | undefined }>((resolve, reject) => {
      const fail = (error: Error) => reject(new MlflowError(whyUnreachable(error), true));
      const call = request(url, options, (response: IncomingMessage) => {
        const pieces: Buffer[] = [];
        let bytes = 0;
        response.on('data', (piece: Buffer) => {
          bytes += piece.length;
          pieces.push(piece);
          if (bytes > MOST_BYTES) call.destroy(new Error(`its answer has more than ${MOST_BYTES} bytes`));
        });
        response.on('error', fail);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            text: Buffer.concat(pieces).toString('utf8'),
            location: response.headers.location,
          }),
        );
      });
      call.on('error', fail);
      // Whatever came that was no answer, such as an upgrade, nothing follows it.
      call.on('close', () => fail(new Error('its answer is not valid HTTP, so it is not an MLflow server')));
      call.end(body);
    });
  }
}

const whyUnreachable = (error: Error): string =>
  error.name === 'TimeoutError' || /due to timeout/.test(String(error.cause))
    ? `no answer for ${TIMEOUT_MS / 1000} s`
    : messageOf(error);

type Fields = Readonly<Record<string, unknown>>;
const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null ? (value as Fields) : {};

function parsed(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Fields) : undefined;
  } catch {
    return undefined;
  }
}

/** @throws MlflowError */
function textOf(value: unknown, name: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new MlflowError(`its answer has no ${name}, so it is not an MLflow server`, true);
}
