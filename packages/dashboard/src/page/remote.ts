/** What the page asks its server for. Errors are the coordinator's own sentences. */
import type {
  Checkpoint,
  EpochResult,
  GetConfusionResponse,
  StepMetrics,
} from '@kasane/protocol/gen/kasane/v1/jobs';
import type { RunColumns } from '@kasane/protocol/internal/job/runs';
import { h } from './dom.ts';
import type { Network } from './network.ts';

/** How raw input became samples, as far as the page can do the same. */
export interface Preparation {
  readonly mean?: number | readonly number[];
  readonly std?: number | readonly number[];
  /** Dark on a bright ground. Absent: bright on dark. */
  readonly ground?: 'bright';
  readonly classes?: readonly string[];
  readonly image?: {
    readonly channels?: number;
    readonly fit?: 'cover' | 'contain' | 'fill';
    readonly background?: 'black' | 'white';
  };
  readonly text?: object;
}

export interface Samples {
  readonly total: number;
  /** Of one. */
  readonly shape: readonly number[];
  readonly preparation: Preparation;
  /** One after the other. */
  readonly inputs: Float32Array;
  readonly targets: Float32Array;
  readonly count: number;
}

async function ask(path: string, init?: RequestInit): Promise<Response> {
  const response = await fetch(path, init);
  if (!response.ok) throw new Error((await response.text()).trim() || `${response.status}`);
  return response;
}

const post = (path: string, body = ''): Promise<Response> =>
  ask(path, { method: 'POST', body, headers: { 'x-kasane': 'dashboard' } });
const pathOf = (job: string, name: string): string => `/jobs/${encodeURIComponent(job)}/${name}`;

/** Does something to a job. */
export async function act(job: string, action: string, body = ''): Promise<void> {
  await post(pathOf(job, action), body);
}

/** Ends a sweep and its trials. */
export async function cancelSweep(sweep: string): Promise<void> {
  await post(`/sweeps/${encodeURIComponent(sweep)}/cancel`);
}

/** All jobs, or the trials of a sweep, as columns. */
export async function runsOf(sweep = ''): Promise<RunColumns> {
  return (await (await ask(`/runs?sweep=${encodeURIComponent(sweep)}`)).json()) as RunColumns;
}

/** The epochs of jobs. */
export async function curvesOf(
  jobs: readonly string[],
): Promise<readonly { readonly job: string; readonly history: readonly EpochResult[] }[]> {
  const query = jobs.map((job) => `job=${encodeURIComponent(job)}`).join('&');
  return (await (await ask(`/curves?${query}`)).json()) as { job: string; history: EpochResult[] }[];
}

/** Submits a job file, YAML or JSON. @returns its id */
export async function submit(file: string): Promise<string> {
  return ((await (await post('/jobs', file)).json()) as { job: string }).job;
}

/** The file of a job as it was checked, for people to change. */
export async function specOf(job: string): Promise<string> {
  return JSON.stringify(await (await ask(pathOf(job, 'spec'))).json(), null, 2);
}

/** Newest first. */
export async function checkpoints(job: string): Promise<Checkpoint[]> {
  return (await (await ask(pathOf(job, 'checkpoints'))).json()) as Checkpoint[];
}

/** The confusion matrix of its newest test; epoch 0 where there is none. */
export async function confusionOf(job: string): Promise<GetConfusionResponse> {
  return (await (await ask(pathOf(job, 'confusion'))).json()) as GetConfusionResponse;
}

/** Curves of a job as they are now. */
export async function pointsOf(job: string): Promise<StepMetrics[]> {
  return ((await (await ask(pathOf(job, 'metrics'))).json()) as { points: StepMetrics[] }).points;
}

/** Address of a model file: final weights, or those of a checkpoint. */
export const modelPath = (job: string, checkpoint?: number): string =>
  `${pathOf(job, 'model')}${checkpoint === undefined ? '' : `?checkpoint=${checkpoint}`}`;

/** How long a browser may take to begin with a file that it is handed. */
const HANDED_MS = 60_000;

/** Saves a model file. @throws Error where there is no such file any more: a link would only say that it failed */
export async function download(job: string, checkpoint?: number): Promise<void> {
  const url = URL.createObjectURL(await (await ask(modelPath(job, checkpoint))).blob());
  const name = `${job}${checkpoint === undefined ? '' : `-${checkpoint}`}.safetensors`;
  h('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), HANDED_MS);
}

export async function samples(job: string, first: number, count: number): Promise<Samples> {
  const response = await ask(`${pathOf(job, 'samples')}?first=${first}&count=${count}`);
  const { inputs, targets, ...rest } = (await response.json()) as Omit<
    Samples,
    'inputs' | 'targets' | 'count'
  > & {
    inputs: string;
    targets: string;
  };
  const values = floats(inputs);
  const size = rest.shape.reduce((product, extent) => product * extent, 1);
  return { ...rest, inputs: values, targets: floats(targets), count: values.length / size };
}

function floats(base64: string): Float32Array {
  const text = atob(base64);
  return new Float32Array(Uint8Array.from(text, (letter) => letter.charCodeAt(0)).buffer);
}

/** A network with what it was computed from. */
export interface Opened {
  readonly network: Network;
  readonly step: number;
}

/** Model files that are larger, in bytes of their checkpoint, are not computed in a page. */
export const NETWORK_BYTES = 400 << 20;

/**
 * The network of a job's newest checkpoint.
 * @param known returned when it is still the newest
 * @returns undefined while there is no checkpoint
 */
export async function newestNetwork(job: string, known?: Opened): Promise<Opened | undefined> {
  const [newest] = await checkpoints(job);
  if (!newest) return undefined;
  if (known?.step === newest.step) return known;
  if (newest.bytes > NETWORK_BYTES)
    throw new Error(`${Math.round(newest.bytes / 2 ** 20)} MiB > ${NETWORK_BYTES >> 20} MiB`);
  const [{ Network }, response] = await Promise.all([
    import('./network.ts'),
    ask(modelPath(job, newest.step)),
  ]);
  return { network: await Network.open(new Uint8Array(await response.arrayBuffer())), step: newest.step };
}
