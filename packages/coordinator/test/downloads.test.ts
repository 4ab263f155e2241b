/** Many downloads of weights whose readers read nothing: few are in memory at once. */
import { EventEmitter } from 'node:events';
import { Metadata } from '@grpc/grpc-js';
import { DOWNLOADS_PER_CALLER } from '@kasane/protocol/limits';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { CALLER } from '../src/serve/admission.ts';
import { Downloads } from '../src/serve/downloads.ts';
import { jobsService } from '../src/serve/jobs.ts';

class Download extends EventEmitter {
  readonly request = { job: 'a', checkpoint: undefined };
  readonly metadata = new Metadata();
  readonly pieces: number[] = [];
  cancelled = false;
  ended = false;
  failure = '';
  constructor(caller: string) {
    super();
    this.metadata.set(CALLER, caller);
    this.on('error', ({ message }: Error) => {
      this.failure = message;
    });
  }
  getPeer(): string {
    return '127.0.0.1:1';
  }
  /** Never has room for more by itself. */
  write({ data }: { data: Uint8Array }): boolean {
    this.pieces.push(data.length);
    return false;
  }
  end(): void {
    this.ended = true;
  }
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 10));

it('holds the weights of one download per caller, and refuses what is too much', async () => {
  let read = 0;
  const log = pino({ level: 'silent' });
  const model = async () => {
    read++;
    return new Uint8Array(300 << 10);
  };
  const { downloadModel } = jobsService({ model } as never, {} as never, new Downloads(log), log);
  const calls = Array.from({ length: DOWNLOADS_PER_CALLER + 1 }, () => new Download('one'));
  const other = new Download('other');
  for (const call of [...calls, other]) downloadModel(call as never);
  await settled();
  expect(read).toBe(2);
  expect(calls.at(-1)!.failure).toBe(
    '128 downloads of this caller are waiting, which is the limit: try again later',
  );
  // It reads to its end; the next one begins. One whose client has gone is never read.
  calls[1]!.cancelled = true;
  calls[1]!.emit('cancelled');
  for (let i = 0; i < 2; i++) {
    calls[0]!.emit('drain');
    await settled();
  }
  expect(calls[0]).toMatchObject({ ended: true, pieces: [256 << 10, 44 << 10] });
  expect(calls[1]).toMatchObject({ ended: false, failure: '', pieces: [] });
  expect(read).toBe(3);
});
