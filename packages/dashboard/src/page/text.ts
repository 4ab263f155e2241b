/** The page's words in English; text-ja.ts has the same in Japanese. */
import type { Reason } from '@kasane/protocol/gen/kasane/v1/common';
import type { Event } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { Finding, Trouble } from './diagnose.ts';
import { grouped, part, small, wholePercent } from './format.ts';

/** What is wrong with a network, and what to try; `layers` names those that it is about. */
export type Warnings = {
  readonly [T in Trouble]: (layers: string, finding: Pick<Finding, 'size' | 'step'>) => string;
};

export const english = {
  slots: (n: number) => `${n} ${n === 1 ? 'slot' : 'slots'}`,
  workers: (n: number, slots: number) =>
    `${n} ${n === 1 ? 'worker' : 'workers'}, ${slots} ${slots === 1 ? 'slot' : 'slots'}`,
  lost: 'Connection to the dashboard lost. Reconnecting ...',
  skip: 'Skip to content',
  language: '日本語',
  theme: { auto: 'Theme: system', light: 'Theme: light', dark: 'Theme: dark' },
  // The jobs.
  jobs: 'Jobs',
  noJobs: 'No jobs yet. Submit one here, or run kasane submit examples/mnist-mlp.yaml',
  noMatch: 'No matching jobs.',
  filter: 'Filter by name',
  allStates: 'All states',
  states: ['', 'queued', 'running', 'succeeded', 'failed', 'cancelled', 'paused'],
  newJob: 'New job',
  jobFile: 'Job file (YAML or JSON)',
  submit: 'Submit',
  close: 'Close',
  submitted: 'Submitted',
  // What can be done to a job.
  cancel: 'Cancel',
  cancelSure: (job: string) => `Cancel ${job}?`,
  pause: 'Pause',
  resume: 'Resume',
  retry: 'Retry',
  priority: 'Priority',
  resubmit: 'Edit and resubmit ...',
  // A job.
  overview: 'Curves',
  layers: 'Layers',
  tryIt: 'Try it',
  steps: 'Steps',
  epoch: 'Epoch',
  step: 'Step',
  trainLoss: 'Training loss',
  trainAccuracy: 'Training accuracy',
  trainError: 'Training error',
  testLoss: 'Test loss',
  testAccuracy: 'Test accuracy',
  testError: 'Test error',
  speed: 'Samples/s',
  left: 'Time left',
  took: 'Duration',
  waiting: 'Waiting',
  loss: 'Loss',
  accuracy: 'Accuracy',
  error: 'Mean absolute error',
  learningRate: 'Learning rate',
  gradientNorm: 'Gradient norm',
  train: 'training',
  test: 'test',
  stepTime: 'Step time (ms)',
  whole: 'whole step',
  slowest: 'slowest computation',
  axis: 'X axis',
  axes: { step: 'step', epoch: 'epoch', time: 'seconds' },
  smoothing: 'Smoothing',
  logarithmic: 'Log scale',
  zoomIn: 'Zoom in',
  zoomOut: 'Reset zoom',
  compare: 'Compare with',
  file: 'Job file',
  events: 'Events',
  checkpoints: 'Checkpoints',
  finalWeights: 'Final weights',
  download: 'Download',
  noCheckpoints: 'No checkpoints yet. The first one is written at the end of the first epoch.',
  // The layers.
  layer: 'Layer',
  output: 'Output',
  parameters: 'parameters',
  flops: 'FLOPs',
  gradient: 'Gradient',
  weights: 'Weights',
  update: 'Update / weights',
  activations: 'Activations',
  dead: 'Dead units',
  ofUnits: (dead: number, units: number) => `${dead} of ${units} units are dead`,
  norms: 'Norms',
  activationRms: 'activations (RMS)',
  overTime: 'over time',
  filters: 'Filters',
  unitWeights: 'Unit weights, as images',
  featureMaps: 'Layer output for test sample',
  attentionMaps: 'Attention maps per head for test sample',
  sample: 'Test sample',
  fromCheckpoint: (step: string) => `from the checkpoint of step ${step}`,
  computing: 'Loading the network ...',
  noNetwork: 'No checkpoint yet.',
  reads: 'reads',
  noLayers: 'Layers appear once the job has started.',
  /** @param size see `Finding` */
  warnings: {
    diverged: (layers) =>
      `Training has diverged: the gradient or the weights of ${layers} are not finite. Lower the learning rate to a tenth, or set training.clipNorm: 1.`,
    exploding: (layers, { size }) =>
      `Exploding gradients in ${layers}: a norm of up to ${small(size)}. Lower the learning rate, add a warm-up, or set training.clipNorm: 1.`,
    dead: (layers, { size, step }) =>
      `Dead units in ${layers}: up to ${wholePercent(size)} of the units of a layer output 0 for every test sample that was checked (step ${grouped(step)}). Lower the learning rate, or use leakyRelu or gelu instead of relu.`,
    vanishing: (layers, { size }) =>
      `Vanishing gradients in ${layers}: down to ${part(size)} of the largest gradient norm, so they hardly learn. Use relu or gelu instead of sigmoid or tanh, add batchNorm or layerNorm, or add skip connections.`,
    large: (layers, { size }) =>
      `Large updates in ${layers}: a step changes up to ${wholePercent(size)} of their weight norm. Lower the learning rate.`,
  } as Warnings,
  /** @param of layers that there are */
  someLayers: (names: readonly string[], more: number, of: number) =>
    `${names.join(', ')}${more > 0 ? ` and ${more} more` : ''} (${names.length + more} of ${of} layers)`,
  troubles: {
    diverged: 'diverged',
    vanishing: 'vanishing',
    exploding: 'exploding',
    large: 'large updates',
    dead: 'dead units',
  },
  // Try it.
  draw: 'Draw here, or drop an image',
  clear: 'Clear',
  chooseImage: 'Choose an image',
  prediction: 'Prediction',
  truth: 'actual',
  asSeen: 'What the network sees',
  putOn: {
    black: 'Transparent areas of the image are filled with black.',
    white: 'Transparent areas of the image are filled with white.',
  },
  nothingDrawn: 'Draw something, choose an image, or pick a test sample.',
  onlyImages: 'Drawing is only available for image models. Try a test sample instead.',
  values: 'Values',
  // The cluster.
  cluster: 'Cluster',
  noWorkers: 'No workers are connected. Start one with kasane worker --coordinator HOST:PORT',
  noWorkerMatches: 'No matching workers.',
  tasks: 'tasks done',
  held: 'held',
  busy: 'computing',
  idle: 'idle',
  draining: 'draining',
  silent: 'no heartbeat for',
  resting: 'resting',
  failedTasks: 'failed',
  since: 'connected since',
  received: 'received',
  sent: 'sent',
  gone: 'Disconnected workers',
  noneGone: 'None.',
  worker: 'Worker',
  why: 'Reason',
  when: 'Time',
  timeline: 'Shards by worker',
  timelineOf: (job: string) => `job ${job}`,
  waterfall: (step: string) => `Step ${step}`,
  noSteps: 'No steps to show: no job is running.',
  phases: 'Shard time by worker (ms): min / median / max',
  phase: {
    queue: 'queue',
    data: 'samples',
    parameters: 'parameters',
    slot: 'slot',
    compute: 'compute',
    network: 'network',
    gradients: 'gradients',
    reduce: 'reduction',
    update: 'update',
  },
  slow: 'slowest',
  shard: 'Shard',
  previous: 'Previous step',
  next: 'Next step',
  newest: 'Newest',
  /** Hours, minutes, seconds. */
  units: ['h', 'min', 's'],
  /** A reason of the coordinator's, which comes with its sentence in English. */
  said: ({ text }: Reason): string => text,
  /** The same of an event. */
  told: ({ text }: Event): string => text,
};

export type Words = typeof english;
export type Language = 'en' | 'ja';
