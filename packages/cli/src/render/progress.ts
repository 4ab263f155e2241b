/** Progress of a job on standard error: bars on a terminal, plain lines elsewhere. */
import { createRequire } from 'node:module';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import type { EpochResult, Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { printableLine } from '@kasane/protocol/internal/events/plain-text';
import type { MultiBar, SingleBar } from 'cli-progress';
import { isScreen } from '../output/terminal.ts';
import { epochLine, formatMetric, heldUpBy, metricName } from './job.ts';

export interface ProgressView {
  update(job: Job): void;
  /** Writes lines of others, as a log: above the bars while there are any. */
  write(lines: string): void;
  stop(): void;
}

const isPaused = ({ state }: Job) => state === JobState.JOB_STATE_PAUSED;

/** The view that suits the output. */
export function progressView(stream: NodeJS.WriteStream = process.stderr): ProgressView {
  return isScreen(stream) ? bars(stream) : lines(stream);
}

/** Epochs that were not there the last time. */
function newEpochs(): (job: Job) => readonly EpochResult[] {
  let last = 0;
  return ({ history }) => {
    const more = history.filter(({ epoch }) => epoch > last);
    last = more.at(-1)?.epoch ?? last;
    return more;
  };
}

function lines(stream: NodeJS.WriteStream): ProgressView {
  const unprinted = newEpochs();
  let waiting = '';
  return {
    update(job) {
      for (const epoch of unprinted(job)) stream.write(`${epochLine(job, epoch)}\n`);
      const held = (isPaused(job) ? job.waitingFor : heldUpBy(job))?.text ?? '';
      if (held && held !== waiting) stream.write(`waiting: ${printableLine(held)}\n`);
      waiting = held;
    },
    write: (lines) => stream.write(lines),
    stop() {},
  };
}

/** A line goes where the bars were, which are cut at the edge of a terminal: it is to be whole, and without what they leave behind it. */
const CLEAR_BELOW = '\x1b[J';
const WRAP = '\x1b[?7h';
const NO_WRAP = '\x1b[?7l';

function bars(stream: NodeJS.WriteStream): ProgressView {
  // Where there is no terminal it is not needed, and takes as long to load as twenty modules of ours.
  const cliProgress = createRequire(import.meta.url)('cli-progress') as typeof import('cli-progress');
  const multi: MultiBar = new cliProgress.MultiBar(
    {
      stream,
      hideCursor: true,
      clearOnComplete: false,
      barsize: 28,
      fps: 10,
      autopadding: true,
      forceRedraw: true,
    },
    cliProgress.Presets.shades_classic,
  );
  let epochs: SingleBar | undefined;
  let steps: SingleBar | undefined;
  const unprinted = newEpochs();
  let stopped = false;
  const above = (lines: string) => multi.log(`${CLEAR_BELOW}${WRAP}${lines}${NO_WRAP}`);
  return {
    update(job) {
      if (job.steps === 0) return;
      const perEpoch = job.steps / job.epochs;
      for (const epoch of unprinted(job)) above(`${epochLine(job, epoch)}\n`);
      const rate = job.samplesPerSecond;
      const held = isPaused(job) || heldUpBy(job) !== undefined;
      const payload = {
        loss: job.trainLoss?.toFixed(4) ?? '-',
        metric:
          job.trainMetric === undefined ? '' : `${metricName(job)} ${formatMetric(job, job.trainMetric)}`,
        rate:
          rate > 0 && !held
            ? `${Math.round(rate).toLocaleString('en')} samples/s`
            : printableLine(job.waitingFor?.text ?? ''),
        left: timeLeft(job),
      };
      const done = job.step - job.epoch * perEpoch;
      epochs ??= multi.create(job.epochs, 0, payload, { format: 'epochs {bar} {value}/{total}  {left}' });
      steps ??= multi.create(perEpoch, 0, payload, {
        format: 'steps  {bar} {value}/{total}  loss {loss}  {metric}  {rate}',
      });
      epochs.update(job.epoch, payload);
      steps.update(job.step === job.steps ? perEpoch : done, payload);
    },
    write(lines) {
      if (epochs && !stopped) above(lines);
      else stream.write(lines);
    },
    stop() {
      if (!epochs || stopped) return;
      stopped = true;
      // Lines wait for the next time that the bars are drawn, and stopping draws the bars alone.
      multi.update();
      multi.stop();
    },
  };
}

function timeLeft(job: Job): string {
  const seconds = job.history.map((epoch) => epoch.seconds);
  if (seconds.length === 0 || job.epoch >= job.epochs) return '';
  const mean = seconds.reduce((a, b) => a + b, 0) / seconds.length;
  const left = Math.round(mean * (job.epochs - job.step / (job.steps / job.epochs)));
  return left >= 90 ? `about ${Math.round(left / 60)} min left` : `about ${left} s left`;
}
