/**
 * What other programs have set on the queues of a job: BullMQ's dashboards pause queues, and limit how much of them is taken. Nobody would
 * compute then, and nothing would say why. The queues are the coordinator's: it takes such settings back, and says how to pause a job.
 */
import { messageOf } from '@kasane/protocol/errors';
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';

/** So often it is looked, in milliseconds. */
const LOOK_MS = 1_000;

export interface QueueSettingsOptions {
  readonly job: string;
  readonly queues: readonly Queue[];
  readonly redis: Redis;
  readonly log: Pick<Logger, 'warn' | 'debug'>;
}

export class QueueSettings {
  readonly #options: QueueSettingsOptions;
  readonly #looking: NodeJS.Timeout;
  /** What has been told of. */
  readonly #told = new Set<string>();
  #isLooking = false;

  constructor(options: QueueSettingsOptions) {
    this.#options = options;
    this.#looking = setInterval(() => void this.#look(), LOOK_MS);
    this.#looking.unref();
  }

  close(): void {
    clearInterval(this.#looking);
  }

  async #look(): Promise<void> {
    const { queues, redis, log } = this.#options;
    if (this.#isLooking || redis.status !== 'ready') return;
    this.#isLooking = true;
    try {
      await Promise.all(queues.map((queue) => this.#takeBack(queue)));
    } catch (error) {
      log.debug(`the settings of the queues could not be read: ${messageOf(error)}`);
    } finally {
      this.#isLooking = false;
    }
  }

  async #takeBack(queue: Queue): Promise<void> {
    const { redis } = this.#options;
    const settings = await redis.hmget(queue.keys.meta!, 'paused', 'concurrency', 'max', 'duration');
    const found = inWords(settings);
    if (found.length === 0) return;
    await queue.removeGlobalConcurrency();
    await queue.removeGlobalRateLimit();
    await queue.removeRateLimitKey();
    // Wakes workers, too, whatever they were kept from.
    await queue.resume();
    for (const what of found) this.#tell(what);
  }

  #tell(what: string): void {
    if (this.#told.has(what)) return;
    this.#told.add(what);
    const { job, log } = this.#options;
    const right = `to pause the job, use \`kasane pause ${job}\``;
    log.warn(`another program had ${what} in Redis; this has been undone: ${right}`);
  }
}

/** What the settings of a queue keep workers from. */
function inWords([paused, concurrency, max, duration]: readonly (string | null)[]): string[] {
  const words: string[] = [];
  if (paused !== null) words.push("paused the job's queues");
  if (concurrency !== null || max !== null || duration !== null)
    words.push("limited how fast workers take tasks from the job's queues");
  return words;
}
