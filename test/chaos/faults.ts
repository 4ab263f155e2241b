/**
 * What is done to a cluster. Each fault counts as fired only once its effect has been seen; it ends when what it did has been
 * undone, so that the next can begin.
 */
import {
  closeSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Follower } from './follow.ts';
import type { Stage, StagedWorker } from './stage.ts';

/** How long a consequence may take to be seen. */
const PATIENCE_MS = 180_000;

/** The file that a job goes on from. One that is not in the database yet, when its coordinator is killed, nobody reads. */
function newestCheckpoint({ state }: Stage, job: string): string | undefined {
  const database = new DatabaseSync(join(state, 'kasane.sqlite'), { timeout: 10_000 });
  try {
    const row = database
      .prepare('SELECT path FROM checkpoints WHERE job = ? ORDER BY step DESC LIMIT 1')
      .get(job);
    return row && join(state, String(row.path));
  } finally {
    database.close();
  }
}

export interface FaultContext {
  readonly stage: Stage;
  readonly follower: Follower;
  readonly job: string;
  /** The worker that it befalls. */
  readonly worker: StagedWorker;
  /** How long what lasts does. */
  readonly seconds: number;
  /** Call when the effect has been seen. */
  readonly fired: () => void;
}

export interface Fault {
  /** For people. */
  readonly title: string;
  /** A worker is taken for it alone; Redis, disk, clock and coordinator are everyone's, and suffer one fault at a time. */
  readonly befalls: 'worker' | 'everyone';
  /** In the log of the coordinator, or of any process where it is that which suffers: how the loss is noticed. */
  readonly noticed: RegExp;
  readonly fire: (context: FaultContext) => Promise<void>;
}

const gone = /worker \S+ disconnected|reissuing tasks/;
const again = /reissuing tasks|Redis (has not answered|is back)/;

/** Does what lasts until somebody feels it: a worker that is connecting again, because the coordinator was away, comes into it. */
async function lasting(seconds: number, begin: () => Promise<boolean>, fired: () => void): Promise<void> {
  const end = performance.now() + 1000 * seconds;
  while (!(await begin()) && performance.now() < end) await sleep(50);
  const left = end - performance.now();
  if (left <= 0) return;
  fired();
  await sleep(left);
}

export const faults = {
  kill: {
    title: 'worker killed (SIGKILL)',
    befalls: 'worker',
    noticed: gone,
    async fire({ stage, worker, fired }) {
      const since = performance.now();
      await worker.child.kill();
      const { signal } = await worker.child.exited;
      if (signal === 'SIGKILL') fired();
      await stage.coordinatorChild
        .line(new RegExp(`worker ${worker.id} disconnected`), PATIENCE_MS, since)
        .catch(() => {
          // The coordinator may be away as well.
        });
      await stage.startWorker(worker);
    },
  },
  freeze: {
    title: 'worker stopped (SIGSTOP), then SIGCONT',
    befalls: 'worker',
    noticed: gone,
    async fire({ worker, seconds, fired }) {
      worker.child.signal('SIGSTOP');
      try {
        await until(() => worker.child.state === 'T');
        fired();
        await sleep(1000 * seconds);
      } finally {
        worker.child.signal('SIGCONT');
      }
    },
  },
  slow: {
    title: 'worker ten times slower',
    befalls: 'worker',
    noticed: /reissuing tasks/,
    async fire({ worker, seconds, fired }) {
      const end = performance.now() + 1000 * seconds;
      const [before, began] = [worker.child.cpuSeconds, performance.now()];
      try {
        while (performance.now() < end) {
          worker.child.signal('SIGSTOP');
          await sleep(90);
          worker.child.signal('SIGCONT');
          await sleep(10);
        }
      } finally {
        worker.child.signal('SIGCONT');
      }
      const share = (worker.child.cpuSeconds - before) / ((performance.now() - began) / 1000);
      if (share < 0.4) fired();
    },
  },
  visitor: {
    title: 'worker joins, drains, leaves',
    befalls: 'worker',
    noticed: /worker \S+ joined/,
    async fire({ stage, follower, fired }) {
      const visitor = await stage.addWorker();
      visitor.fault = 'visitor';
      const done = async () => {
        const { workers } = await stage.client.status().catch(() => ({ workers: [] }));
        return (workers.find(({ id }) => id === visitor.id)?.tasksDone ?? 0) > 0;
      };
      while (!follower.over && !(await done())) await sleep(50);
      visitor.child.signal('SIGTERM');
      const { code } = await visitor.child.exited;
      if (code === 0 && !follower.over) fired();
      stage.removeWorker(visitor);
    },
  },
  cut: {
    title: "worker's network cut",
    befalls: 'worker',
    noticed: gone,
    async fire({ worker, seconds, fired }) {
      try {
        await lasting(seconds, () => worker.network.cut(), fired);
      } finally {
        await worker.network.heal();
      }
    },
  },
  weather: {
    title: 'latency of 40 ms and 2 % loss on a link',
    befalls: 'worker',
    noticed: /reissuing tasks/,
    async fire({ worker, seconds, fired }) {
      await lasting(seconds, () => worker.network.weather(40, 0.02), fired);
      await worker.network.heal();
    },
  },
  coordinator: {
    title: 'coordinator killed and restarted',
    befalls: 'everyone',
    noticed: /no stream to/,
    async fire({ stage, fired }) {
      await stage.coordinatorChild.kill();
      await stage.startCoordinator();
      await stage.coordinatorChild.line(
        /resuming from the checkpoint of step (\d+)|worker \S+ joined/,
        PATIENCE_MS,
      );
      fired();
    },
  },
  redisKept: {
    title: 'Redis killed and restarted with its data',
    befalls: 'everyone',
    noticed: again,
    fire: (context) => restartRedis(context, true),
  },
  redisLost: {
    title: 'Redis killed and restarted without its data',
    befalls: 'everyone',
    noticed: again,
    fire: (context) => restartRedis(context, false),
  },
  flush: {
    title: 'Redis FLUSHALL',
    befalls: 'everyone',
    noticed: again,
    async fire({ stage, fired }) {
      const reply = await stage.redis((redis) => redis.flushall());
      if (reply === 'OK') fired();
    },
  },
  redisFull: {
    title: 'Redis out of memory',
    befalls: 'everyone',
    noticed: /reissuing tasks|out of memory|OOM/i,
    async fire({ stage, seconds, fired }) {
      await stage.redis(async (redis) => {
        await redis.config('SET', 'maxmemory', '1');
        const refused = await redis.set('kasane-chaos', 'x').then(
          () => false,
          (error: Error) => error.message.includes('OOM'),
        );
        if (refused) fired();
        await sleep(1000 * Math.min(seconds, 5));
        await redis.config('SET', 'maxmemory', '0');
      });
    },
  },
  diskFull: {
    title: 'disk full under the state directory',
    befalls: 'everyone',
    noticed: /could not be written/,
    async fire({ stage, follower, fired }) {
      const ballast = join(stage.state, 'ballast');
      const since = performance.now();
      try {
        fillDisk(ballast);
        const noticed = stage.coordinatorChild.line(/could not be written/, PATIENCE_MS, since);
        await Promise.race([noticed, follower.ended]);
        if (!follower.over) fired();
      } finally {
        rmSync(ballast, { force: true });
      }
    },
  },
  databaseLocked: {
    title: 'state database locked by another program',
    befalls: 'everyone',
    noticed: /could not be written/,
    async fire({ stage, follower, fired }) {
      const since = performance.now();
      const database = new DatabaseSync(join(stage.state, 'kasane.sqlite'), { timeout: 10_000 });
      try {
        database.exec('BEGIN IMMEDIATE');
        const noticed = stage.coordinatorChild.line(/could not be written/, PATIENCE_MS, since);
        await Promise.race([noticed, follower.ended]);
        if (!follower.over) fired();
      } finally {
        database.close();
      }
    },
  },
  checkpoint: {
    title: 'checkpoint truncated or with flipped bits, coordinator killed and restarted',
    befalls: 'everyone',
    noticed: /no stream to/,
    async fire({ stage, job, fired }) {
      await until(() => newestCheckpoint(stage, job) !== undefined);
      await stage.coordinatorChild.kill();
      damage(newestCheckpoint(stage, job)!, stage.random() < 0.5);
      await stage.startCoordinator();
      const log = stage.coordinatorChild;
      // Workers may be back before it has been read, a piece a turn.
      const read = await log.line(
        /cannot use the checkpoint of step \d+|resuming from the checkpoint/,
        PATIENCE_MS,
      );
      if (read.text.includes('cannot use the checkpoint')) fired();
    },
  },
  clock: {
    title: 'clock set back by an hour',
    befalls: 'everyone',
    noticed: /reissuing tasks/,
    async fire({ stage, job, seconds, follower, fired }) {
      // The coordinator's metrics say what time it takes it for.
      let isBack = false;
      const stop = stage.client.watchMetrics(
        job,
        ({ points }) => {
          isBack ||= points.some(({ time }) => time < Date.now() - 3_000_000);
        },
        () => {},
      );
      try {
        stage.setClock(-3600);
        await until(() => isBack || follower.over);
        if (isBack) fired();
        await sleep(1000 * Math.min(seconds, 2));
      } finally {
        stop();
        stage.setClock(0);
      }
    },
  },
} as const satisfies Record<string, Fault>;

export type FaultName = keyof typeof faults;

async function restartRedis({ stage, fired }: FaultContext, keep: boolean): Promise<void> {
  await stage.killRedis(keep);
  const { signal } = await stage.redisChild.exited;
  await sleep(500);
  await stage.startRedis();
  if (signal === 'SIGKILL') fired();
}

/** Writes until nothing more fits. */
function fillDisk(path: string): void {
  const file = openSync(path, 'w');
  try {
    for (let piece = Buffer.alloc(1 << 20, 1); piece.length > 0; ) {
      try {
        writeSync(file, piece);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        piece = piece.subarray(0, piece.length >> 1);
      }
    }
  } finally {
    closeSync(file);
  }
}

function damage(path: string, truncate: boolean): void {
  const { size } = statSync(path);
  if (truncate) {
    truncateSync(path, Math.floor(size / 2));
    return;
  }
  const bytes = readFileSync(path);
  for (const place of [size >> 2, size >> 1, size - 5]) bytes[place]! ^= 0x10;
  writeFileSync(path, bytes);
}

async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`waited ${PATIENCE_MS / 1000} s in vain for ${holds}`);
    await sleep(20);
  }
}
