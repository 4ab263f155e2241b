/**
 * What other programs have set on the queues of a job: BullMQ's dashboards pause queues, and limit how much of them is taken. Nobody would
 * compute then, and nothing would say why. The queues are the coordinator's: it takes such settings back, and says how to pause a job.
 * A queue whose keys hold what Redis cannot use as a queue is emptied, and its tasks are handed out again.
 */
import { messageOf } from '@kasane/protocol/errors';
import { inUseKey } from '@kasane/protocol/internal/queue/queue';
import { type Reason, sentenceOf } from '@kasane/protocol/reasons';
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';

/** So often it is looked, in milliseconds. */
const LOOK_MS = 1_000;
/** The queues count as abandoned when nobody has looked for so long, in seconds. */
const IN_USE_SECONDS = 30;

export interface QueueSettingsOptions {
  readonly job: string;
  /** Of the keys of the run. */
  readonly prefix: string;
  readonly queues: readonly Queue[];
  readonly redis: Redis;
  readonly log: Pick<Logger, 'warn' | 'debug'>;
  /** A queue had to be emptied: what was in it is to be handed out again. */
  readonly onEmptied: (why: Reason<'queue-overwritten'>) => void;
}

/** What BullMQ keeps in the keys of a queue. */
const types: Readonly<Record<string, string>> = {
  wait: 'list',
  paused: 'list',
  active: 'list',
  delayed: 'zset',
  prioritized: 'zset',
  'waiting-children': 'zset',
  completed: 'zset',
  failed: 'zset',
  marker: 'zset',
  stalled: 'set',
  meta: 'hash',
  events: 'stream',
  id: 'string',
  pc: 'string',
  limiter: 'string',
  'stalled-check': 'string',
};
/** Keys that Redis counts in. */
const counters = new Set(['id', 'pc', 'limiter']);
/** Far from where Redis refuses to count on. */
const COUNT = /^-?\d{1,15}$/;

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
    const { prefix, queues, redis, log } = this.#options;
    if (this.#isLooking || redis.status !== 'ready') return;
    this.#isLooking = true;
    try {
      await redis.set(inUseKey(prefix), 1, 'EX', IN_USE_SECONDS);
      await Promise.all(
        queues.map(async (queue) => {
          if (!(await this.#mend(queue))) await this.#takeBack(queue);
        }),
      );
    } catch (error) {
      log.debug(`the settings of the queues could not be read: ${messageOf(error)}`);
    } finally {
      this.#isLooking = false;
    }
  }

  /** Empties a queue that Redis cannot use. Resolves to whether it had to. */
  async #mend(queue: Queue): Promise<boolean> {
    const { redis, log, onEmptied } = this.#options;
    const why = await unusable(redis, queue);
    if (!why) return false;
    await unlinkMatching(redis, `${queue.qualifiedName}:*`);
    const said = sentenceOf(why);
    if (!this.#told.has(said)) {
      this.#told.add(said);
      const right = 'do not let other programs write to this Redis';
      log.warn(why, `${said}; the queue has been emptied and its tasks are handed out again: ${right}`);
    }
    onEmptied(why);
    return true;
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

/** Why Redis refuses to use a queue, in its own words; undefined where it does not. */
async function unusable(redis: Redis, queue: Queue): Promise<Reason<'queue-overwritten'> | undefined> {
  const names = Object.keys(types);
  const asking = redis.pipeline();
  for (const name of names) asking.type(queue.keys[name]!);
  for (const name of counters) asking.get(queue.keys[name]!);
  const answers = (await asking.exec()) ?? [];
  const overwritten = (name: string, error: string): Reason<'queue-overwritten'> => ({
    code: 'queue-overwritten',
    args: { key: queue.keys[name]!, error },
  });
  for (const [index, name] of names.entries()) {
    const found = answers[index]?.[1];
    if (typeof found === 'string' && found !== 'none' && found !== types[name])
      return overwritten(name, `WRONGTYPE: ${found} instead of ${types[name]}`);
  }
  for (const [index, name] of [...counters].entries()) {
    const count = answers[names.length + index]?.[1];
    if (typeof count === 'string' && !COUNT.test(count))
      return overwritten(name, 'ERR value is not an integer or out of range');
  }
  return undefined;
}

/** Removes all keys that match, of which `isMeant` says so. */
export async function unlinkMatching(
  redis: Redis,
  pattern: string,
  isMeant: (key: string) => Promise<boolean> = async () => true,
): Promise<void> {
  let cursor = '0';
  do {
    const [next, found] = await redis.scan(cursor, 'MATCH', pattern, 'COUNT', 500);
    const meant = await Promise.all(found.map(isMeant));
    const keys = found.filter((_, index) => meant[index]);
    if (keys.length > 0) await redis.unlink(...keys);
    cursor = next;
  } while (cursor !== '0');
}

/** What the settings of a queue keep workers from. */
function inWords([paused, concurrency, max, duration]: readonly (string | null)[]): string[] {
  const words: string[] = [];
  if (paused !== null) words.push("paused the job's queues");
  if (concurrency !== null || max !== null || duration !== null)
    words.push("limited how fast workers take tasks from the job's queues");
  return words;
}
