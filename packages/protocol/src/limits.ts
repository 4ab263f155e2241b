/** Every bound of the system in one place, with its unit. What exceeds one is refused with LIMIT, never truncated. */

/** Version of the training stream and its data link; a worker with another one is refused. */
export const PROTOCOL_VERSION = 7;

/** Bytes of tensor data in one frame of a data link. */
export const FRAME_PAYLOAD_BYTES = 1 << 20;
/** Gradients that are ready wait until so many bytes have come together: a message costs more than a small layer's gradient. */
export const GRADIENT_BYTES = 1 << 16;
/** Bytes of a frame's msgpack header. */
export const FRAME_HEADER_BYTES = 4096;
/** Bytes of one gRPC message or frame, both directions. */
export const MESSAGE_BYTES = 4 << 20;
/** Bytes of shared memory for a job's parameters, and for one worker's gradients; more travels over the data link. */
export const SHARED_MEMORY_BYTES = 256 << 20;
/** Bytes of one task's batch; it is staged in values of the size below. */
export const BATCH_BYTES = 256 << 20;
/** Bytes of one staged value in Redis; larger batches are cut. */
export const STAGED_VALUE_BYTES = 1 << 20;
/** Bytes of a job file. */
export const JOB_FILE_BYTES = 1 << 20;
/** Jobs that may wait or run at once. */
export const OPEN_JOBS = 64;
/** Jobs whose steps are computed in turn; each holds its weights and its data in memory. The others wait. */
export const RUNNING_JOBS = 4;
/** Priorities go from minus this to this. */
export const PRIORITY = 1000;
/** Worker streams at once. */
export const WORKERS = 1024;
/** Jobs that `List` returns. */
export const LISTED_JOBS = 1000;
/** Points of a job's metrics that are kept and sent. */
export const METRICS_POINTS = 1000;
/** Steps whose tasks and batches are in Redis ahead of the current one. */
export const LOOK_AHEAD_STEPS = 16;
/** Bytes of batches in Redis ahead of the current step: fewer steps than the above when theirs are large, but at least one. */
export const STAGED_WINDOW_BYTES = 256 << 20;
/** Frames of one worker that may be damaged or not fit before it is sent away for good. */
export const BAD_FRAMES = 3;
/** Workers whose bad frames are remembered; the first are forgotten. */
export const REMEMBERED_WORKERS = 1024;
/** A worker or coordinator that is silent for this long is taken for gone, in milliseconds. */
export const HEARTBEAT_TIMEOUT_MS = 5_000;
export const HEARTBEAT_INTERVAL_MS = 1_000;
/** Connections to the coordinator's port at once, and how long one may take to say what it is. */
export const CONNECTIONS = 4096;
export const GREETING_MS = 5_000;
/** Points that one message of `WatchMetrics` has, and numbers of layers in them: it must stay below MESSAGE_BYTES. */
export const METRICS_MESSAGE_POINTS = 100;
/** Snapshots of layers that are kept of a job, of each kind, and layers in all of them together. */
export const SNAPSHOTS = 48;
export const SNAPSHOT_LAYERS = 2400;
/** Bins of a layer's histogram, and numbers of a layer that are looked at for it. */
export const HISTOGRAM_BINS = 32;
export const HISTOGRAM_SAMPLES = 1 << 16;
/** Test samples that one call of `ReadSamples` returns, and bytes of them. */
export const READ_SAMPLES = 256;
export const READ_SAMPLES_BYTES = 1 << 20;
/** Workers that left of which `Status` tells. */
export const DEPARTED_WORKERS = 32;
