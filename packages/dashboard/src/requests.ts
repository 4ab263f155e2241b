/** What the page asks of the coordinator, besides its event stream: a route each, with the coordinator's own errors as answers. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { CoordinatorClient } from '@kasane/protocol/client';
import { type ErrorCode, KasaneError } from '@kasane/protocol/errors';
import type { WatchMetricsResponse } from '@kasane/protocol/gen/kasane/v1/jobs';
import { brief } from '@kasane/protocol/internal/events/plain-text';
import { isId } from '@kasane/protocol/internal/job/job-name';
import { ModelCosts } from '@kasane/protocol/internal/job/model-cost';
import { packedRuns, runOf } from '@kasane/protocol/internal/job/runs';
import { defaultLimits, JOB_FILE_BYTES, PRIORITY } from '@kasane/protocol/limits';

interface Asked {
  readonly client: CoordinatorClient;
  readonly job: string;
  readonly query: URLSearchParams;
  /** Of a POST. */
  readonly body: string;
  readonly response: ServerResponse;
}

type Route = (asked: Asked) => Promise<unknown>;

/** What can be looked at, by `/jobs/ID/name`. An answer that is not undefined is sent as JSON. */
const views: Readonly<Record<string, Route>> = {
  checkpoints: ({ client, job }) => client.checkpoints(job),
  confusion: ({ client, job }) => client.confusion(job),
  spec: async ({ client, job }) => JSON.parse(await client.spec(job)) as unknown,
  async metrics({ client, job }) {
    // The stream below ends for a job that is unknown as for any other.
    await client.get(job);
    return metricsOf(client, job);
  },
  async samples({ client, job, query }) {
    const { inputs, targets, preparation, ...rest } = await client.samples(
      job,
      wholeNumber('first', query.get('first'), { least: 0, most: MOST_UINT32, default: 0 }),
      wholeNumber('count', query.get('count'), { least: 1, most: MOST_UINT32, default: 1 }),
    );
    const packed = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
    return {
      ...rest,
      inputs: packed(inputs),
      targets: packed(targets),
      preparation: JSON.parse(preparation) as unknown,
    };
  },
  async model({ client, job, query, response }) {
    const checkpoint = wholeNumber('checkpoint', query.get('checkpoint'), {
      ...{ least: 0, most: MOST_UINT32, default: undefined },
    });
    const bytes = await client.model(job, checkpoint);
    const name = checkpoint === undefined ? job : `${job}-${checkpoint}`;
    response.writeHead(200, {
      'content-type': 'application/octet-stream',
      'content-length': bytes.length,
      'content-disposition': asFile(`${name}.safetensors`),
    });
    // Its bytes are in memory until they have been read.
    response.setTimeout(1000 * defaultLimits.slowReaderSeconds, () => void response.destroy());
    response.end(bytes);
  },
};

/** What can be done to a job, by the same. */
const actions: Readonly<Record<string, Route>> = {
  cancel: ({ client, job }) => client.cancel(job),
  delete: ({ client, job }) => client.delete(job),
  pause: ({ client, job }) => client.pause(job),
  // Of one that has ended `body` says how many epochs more.
  resume: ({ client, job, body }) =>
    client.resume(job, wholeNumber('epochs', body || null, { least: 0, most: MOST_UINT32, default: 0 })),
  retry: ({ client, job }) => client.retry(job),
  priority: ({ client, job, body }) =>
    client.setPriority(job, wholeNumber('priority', body, { least: -PRIORITY, most: PRIORITY })),
};

/** The largest number that the coordinator's messages hold. */
const MOST_UINT32 = 0xffff_ffff;

interface Range<Missing> {
  readonly least: number;
  readonly most: number;
  /** What holds where none is given. */
  readonly default?: Missing;
}

/** A number as it came. @throws KasaneError USAGE */
function wholeNumber<Missing = never>(
  name: string,
  given: string | null,
  range: Range<Missing>,
): number | Missing {
  if (given === null && 'default' in range) return range.default as Missing;
  const number = given !== null && /^-?\d{1,10}$/.test(given) ? Number(given) : Number.NaN;
  if (number >= range.least && number <= range.most) return number;
  const got = given === null ? 'nothing' : `'${brief(given.replace(/\s/g, ' '), 40)}'`;
  throw new KasaneError(
    'USAGE',
    `${name}: expected a whole number from ${range.least} to ${range.most}, not ${got}`,
  );
}

/** What `/runs` and `/curves` answer about several jobs. */
const tables: Readonly<
  Record<string, (client: CoordinatorClient, query: URLSearchParams) => Promise<unknown>>
> = {
  /** All jobs, or the trials of `sweep`, as columns. */
  '/runs': (client, query) => runsOf(client, query.get('sweep') ?? ''),
  /** The epochs of each `job`; none for one that has been deleted meanwhile. */
  '/curves'(client, query) {
    const epochsOf = async (job: string) => {
      try {
        return { job, history: (await client.get(job)).history };
      } catch (error) {
        if (error instanceof KasaneError && error.code === 'JOB_NOT_FOUND') return { job, history: [] };
        throw error;
      }
    };
    return Promise.all(query.getAll('job').slice(0, CURVES).map(epochsOf));
  },
};

/** What is being fetched and packed, by sweep: of thousands of jobs that takes a second, and pages open by the dozen. */
const packing = new WeakMap<CoordinatorClient, Map<string, Promise<unknown>>>();

/** Whoever asks meanwhile is answered with the same. */
function runsOf(client: CoordinatorClient, sweep: string): Promise<unknown> {
  const underWay = packing.get(client) ?? new Map<string, Promise<unknown>>();
  packing.set(client, underWay);
  const known = underWay.get(sweep);
  if (known) return known;
  const packed = packRuns(client, sweep).finally(() => underWay.delete(sweep));
  underWay.set(sweep, packed);
  return packed;
}

async function packRuns(client: CoordinatorClient, sweep: string): Promise<unknown> {
  const jobs = await client.list(Number.POSITIVE_INFINITY, { sweep, withSpecs: true });
  const runs = jobs.map((job) => runOf(job, job.spec, costs));
  await costs.prepare(runs.map(({ file }) => file));
  return packedRuns(runs);
}

/** What models cost, for all pages. */
const costs = new ModelCosts();

/** Most jobs whose curves are sent at once. */
const CURVES = 50;

/** Answers a request to `/jobs...`, `/sweeps...`, `/runs` or `/curves`. False: there is nothing of that name. */
export async function answer(
  client: CoordinatorClient,
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  const { method } = request;
  if (method === 'POST' && url.pathname === '/jobs') {
    await reply(response, async () => ({ job: await client.submit(await bodyOf(request)) }));
    return true;
  }
  const cancelled = method === 'POST' && /^\/sweeps\/([^/]+)\/cancel$/.exec(url.pathname);
  const sweep = cancelled && idOf(cancelled[1]!);
  if (sweep) {
    await reply(response, () => client.sweeps.cancel(sweep));
    return true;
  }
  if (method !== 'POST' && Object.hasOwn(tables, url.pathname)) {
    await reply(response, () => tables[url.pathname]!(client, url.searchParams));
    return true;
  }
  const found = /^\/jobs\/([^/]+)\/(\w+)$/.exec(url.pathname);
  const job = found && idOf(found[1]!);
  const routes = method === 'POST' ? actions : views;
  const route = found && Object.hasOwn(routes, found[2]!) ? routes[found[2]!] : undefined;
  if (!route || !job) return false;
  const asked = { client, job, query: url.searchParams, response };
  await reply(response, async () =>
    route({ ...asked, body: method === 'POST' ? await bodyOf(request) : '' }),
  );
  return true;
}

/** The ID in a path; undefined: it is none. */
function idOf(encoded: string): string | undefined {
  try {
    const id = decodeURIComponent(encoded);
    return isId(id) ? id : undefined;
  } catch {
    // It is not percent-encoded UTF-8.
    return undefined;
  }
}

/** Has a browser save an answer. Headers are ASCII: another script is told by its percent-encoded form (RFC 6266). */
const asFile = (name: string): string =>
  `attachment; filename="${name.replace(/[^\x20-\x7e]/g, '_')}"; filename*=UTF-8''${encodeURIComponent(name)}`;

const statuses: Partial<Record<ErrorCode, number>> = {
  NOT_ALLOWED: 403,
  SCOPE: 403,
  JOB_NOT_FOUND: 404,
  SWEEP_NOT_FOUND: 404,
  UNREACHABLE: 502,
};

async function reply(response: ServerResponse, body: () => Promise<unknown>): Promise<void> {
  try {
    const value = await body();
    if (response.headersSent) return;
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value ?? null));
  } catch (error) {
    if (!(error instanceof KasaneError)) throw error;
    const status = statuses[error.code] ?? 400;
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(error.message);
  }
}

/** @throws KasaneError LIMIT */
async function bodyOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > JOB_FILE_BYTES)
      throw new KasaneError(
        'LIMIT',
        `the job file is too large: at most ${JOB_FILE_BYTES} bytes are allowed`,
      );
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

/** The metrics history of a job so far: curves to compare with. */
function metricsOf(client: CoordinatorClient, job: string): Promise<Pick<WatchMetricsResponse, 'points'>> {
  return new Promise((resolve) => {
    const points: WatchMetricsResponse['points'] = [];
    const done = () => resolve({ points });
    const cancel = client.watchMetrics(
      job,
      (message) => {
        for (const point of message.points) points.push({ ...point, layers: [], shards: [], workers: [] });
        if (message.more) return;
        done();
        cancel();
      },
      done,
    );
  });
}
