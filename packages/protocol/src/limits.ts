/** Every bound of the system in one place, with its unit. What exceeds one is refused with LIMIT, never truncated. */

/** Version of the training stream and its data link; a worker with another one is refused. */
export const PROTOCOL_VERSION = 21;

/** Bytes of tensor data in one frame of a data link. */
export const FRAME_PAYLOAD_BYTES = 1 << 20;
/** Bytes of parameters that are updated, published and waited for at a time, from the first on. */
export const ARRIVING_BYTES = 1 << 18;
/** Gradients that are ready wait until so many bytes have come together: a message costs more than a small layer's gradient. */
export const GRADIENT_BYTES = 1 << 16;
/** Bytes of a frame's msgpack header. */
export const FRAME_HEADER_BYTES = 4096;
/** Bytes of one gRPC message or frame, both directions. */
export const MESSAGE_BYTES = 4 << 20;
/** Bytes of shared memory for a job's parameters, and for one worker's gradients; what finds no place travels over the data link. */
export const SHARED_MEMORY_BYTES = 4 * 2 ** 30;
/** Bytes of one task's batch; it is staged in values of the size below. */
export const BATCH_BYTES = 256 << 20;
/** Bytes of one staged value in Redis; larger batches are cut. */
export const STAGED_VALUE_BYTES = 1 << 20;
/**
 * Bytes of a request, of methods that take no file; and of what a worker says at once, whose tensors take another road. A hundred thousand
 * empty messages in 256 KiB took the coordinator's loop a tenth of a second.
 */
export const REQUEST_BYTES = 1 << 16;
export const STREAM_MESSAGE_BYTES = 1 << 16;
/**
 * Bytes of a job file; its lines; its keys, values and marks; levels of nesting; aliases, each of which may stand for many values.
 * resnet-152 written out layer by layer, indented JSON, has 61,000 bytes, 5,000 lines and 10,000 marks.
 */
export const JOB_FILE_BYTES = 1 << 18;
export const JOB_FILE_LINES = 20_000;
export const JOB_FILE_TOKENS = 20_000;
export const JOB_FILE_DEPTH = 32;
export const JOB_FILE_ALIASES = 100;
/** Job files that wait to be parsed: of one caller, and of all. */
export const PARSING_PER_CALLER = 128;
export const PARSING = 512;
/** Submitted jobs whose data is read and checked at once, each of another caller; and that wait for it, of one caller and of all. */
export const CHECKED_AT_ONCE = 4;
export const CHECKING_PER_CALLER = 128;
export const CHECKING = 512;
/** Downloads of weights at once, each of another caller; and that wait for it, of one caller and of all. */
export const DOWNLOADS_AT_ONCE = 8;
export const DOWNLOADS_PER_CALLER = 128;
export const DOWNLOADS = 512;
/** Job files that extend each other, in a row. */
export const EXTENDED_FILES = 8;
/** Characters of one text in a job file: a path, a name, a key. */
export const JOB_STRING = 4096;
/** Jobs whose steps are computed in turn; each holds its weights and its data in memory. The others wait. */
export const RUNNING_JOBS = 4;
/** Sweeps that go on at once. */
export const RUNNING_SWEEPS = 100;
/** Characters of the trials in one message of `Sweeps.Watch`: it must stay below MESSAGE_BYTES. */
export const TRIALS_MESSAGE = 1 << 19;
/** Priorities go from minus this to this. */
export const PRIORITY = 1000;
/** Worker streams at once. */
export const WORKERS = 1024;
/** Compute threads of one worker. */
export const SLOTS = 1024;
/** The longest time that a worker can have measured, in milliseconds: 31 days. */
export const WORKER_TIME_MS = 31 * 24 * 3_600_000;
/** Registered models, aliases of one version, and characters of a description. */
export const REGISTERED_MODELS = 10_000;
export const MODEL_ALIASES = 16;
export const MODEL_TEXT = 4000;
/** Registered models that are shown with a job. */
export const SHOWN_MODELS = 100;
/** What a client may say about a job file's origin: characters of the path, and of a revision or a version. */
export const SOURCE_FILE = 1000;
export const SOURCE_TEXT = 64;
/** Jobs on one page of `List`: unless asked otherwise, and at most. */
export const JOBS_PAGE = 100;
export const MOST_JOBS_PAGE = 200;
/** Characters of the job files on one page of `List`: it must stay below MESSAGE_BYTES. */
export const SPECS_MESSAGE = 1 << 19;
/** The newest jobs, which are looked at again and again by who shows a cluster. */
export const SHOWN_JOBS = 1000;
/** Epochs on one page of `ListEpochs`, in the history of a job, and in that of each of a list of jobs. */
export const EPOCHS_PAGE = 1000;
export const JOB_HISTORY = 512;
export const LISTED_HISTORY = 32;
/** Bytes of a job as it was checked, JSON: it is parsed again by whoever shows or runs it. */
export const SPEC_BYTES = 1 << 19;
/** Steps whose tasks and batches are in Redis ahead of the current one. */
export const LOOK_AHEAD_STEPS = 16;
/** Frames of one worker that may be damaged or not fit before it is sent away for good. */
export const BAD_FRAMES = 3;
/** Workers whose bad frames, and whose names, are remembered; the first are forgotten. */
export const REMEMBERED_WORKERS = 1024;
/** A worker that broke off has its name kept for so long, in milliseconds. */
export const KEPT_NAME_MS = 15_000;
/** Characters of a worker's host and backend, and of an error or a reason, that are kept; what is longer is cut, and says so. */
export const WORKER_TEXT = 256;
export const ERROR_TEXT = 4000;
/** A worker or coordinator that is silent for this long is taken for gone, in milliseconds. */
export const HEARTBEAT_TIMEOUT_MS = 5_000;
export const HEARTBEAT_INTERVAL_MS = 1_000;
/** Connections to the coordinator's port at once, and how long one may take to say what it is. */
export const CONNECTIONS = 4096;
export const GREETING_MS = 5_000;
/** Connections at once to the dashboard, and to the port of metrics. */
export const PAGE_CONNECTIONS = 128;
/**
 * Connections that have not made a call with a token yet: of all, of one address, and how long one may do nothing, in milliseconds. Where
 * there are more the oldest is closed: who has a token shows it at once.
 */
export const UNKNOWN_CONNECTIONS = 1024;
export const UNKNOWN_PER_CLIENT = 256;
export const UNKNOWN_MS = 30_000;
/** Streams of one connection at once. */
export const STREAMS_PER_CONNECTION = 256;
/** Calls of health and reflection that go on, which others than Kasane's programs make: of one address, of all, and how long, in milliseconds. */
export const STANDARD_STREAMS_PER_CLIENT = 32;
export const STANDARD_STREAMS = 256;
export const STANDARD_STREAM_MS = 300_000;
/** Points that one message of `WatchMetrics` has, and layers and shards in them together: it must stay below MESSAGE_BYTES. */
export const METRICS_MESSAGE_POINTS = 100;
export const METRICS_MESSAGE_PARTS = 10_000;
/** Events that one message of `WatchEvents` has, and with which that of all jobs begins. */
export const EVENTS_MESSAGE = 100;
/** Points that tell who computed which shard, and how long it took: the newest. */
export const SHARD_POINTS = 120;
/** Layers in all points of a job together: of deep networks fewer points tell of them. All are written as one text. */
export const POINT_LAYERS = 1 << 14;
/** Snapshots of layers that are kept of a job, of each kind, and layers in all of them together. */
export const SNAPSHOTS = 48;
export const SNAPSHOT_LAYERS = 2400;
/** Bins of a layer's histogram, and numbers of a layer that are looked at for it. */
export const HISTOGRAM_BINS = 32;
export const HISTOGRAM_SAMPLES = 1 << 14;
/** Test samples that one call of `ReadSamples` returns, and bytes of them. */
export const READ_SAMPLES = 256;
export const READ_SAMPLES_BYTES = 1 << 20;
/** Bytes of a data set's preparation as JSON: with such samples it must stay below MESSAGE_BYTES, and the header of weights contains it. */
export const PREPARATION_BYTES = 5 << 19;
/** Workers that left, and that were sent away, of which `Status` tells. */
export const DEPARTED_WORKERS = 32;
/** Bytes of a client's key, certificate or authority file. */
export const PEM_BYTES = 1 << 20;
/** Bytes of a file of weights that a user names. */
export const WEIGHTS_BYTES = 16 * 2 ** 30;

/** The limits that whoever starts a coordinator may set. */
export interface Limits {
  /** Jobs that may wait or run at once. */
  readonly jobs: number;
  /** Tasks in the queue ahead of the current step: fewer steps than LOOK_AHEAD_STEPS where they have many, but at least one. */
  readonly queuedTasks: number;
  /** Bytes of batches in Redis ahead of the current step: fewer steps when theirs are large, but at least one. */
  readonly stagedBytes: number;
  /** Bytes of one gRPC message or frame that the coordinator takes. At least a frame of FRAME_PAYLOAD_BYTES. */
  readonly messageBytes: number;
  /** Bytes that may wait for a reader, besides one version of the parameters; one that leaves more unread is dropped. */
  readonly streamBytes: number;
  /** A reader of a status stream that takes nothing for so long is dropped, in seconds. */
  readonly slowReaderSeconds: number;
  /** Connections of one address to the coordinator's port at once. A worker has two. */
  readonly connectionsPerClient: number;
  /** Calls of one token in a second; a second's worth may come at once. */
  readonly requestsPerSecond: number;
  /** Points of a job's metrics that are kept and sent; when there are more, every second one goes. */
  readonly metricPoints: number;
  /** Least time between two of these points, in milliseconds. Each costs a look at all parameters. 0: a point for each step. */
  readonly metricIntervalMs: number;
  /** Events of a job that are kept; when there are more, the oldest of the most frequent go. */
  readonly events: number;
  /** A job fails whose workers, though they are connected, answer nothing for so long, in seconds. After 30 its turn goes to other jobs; only time in which it can run counts. */
  readonly standstillSeconds: number;
  /** Jobs that have ended whose metrics, ledger, checkpoints and events are kept; of older ones only the record and the weights stay. */
  readonly keptJobs: number;
}

export const defaultLimits: Limits = {
  jobs: 1000,
  queuedTasks: 10_000,
  stagedBytes: 256 << 20,
  messageBytes: MESSAGE_BYTES,
  streamBytes: 16 << 20,
  slowReaderSeconds: 30,
  connectionsPerClient: 1024,
  requestsPerSecond: 500,
  metricPoints: 1000,
  metricIntervalMs: 250,
  events: 1000,
  standstillSeconds: 1800,
  keptJobs: 200,
};
