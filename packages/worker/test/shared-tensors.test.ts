/** Which places a worker's gradients take. */
import { SharedGradients } from '@kasane/protocol/internal/wire/shared-memory';
import { OwnGradients } from '@kasane/worker/internal/job/shared-tensors';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';

const floats = Float32Array.of(1, 2, 3, 4);

describe.runIf(process.platform === 'linux')('OwnGradients', () => {
  it('take the places of each step from the first one on, a second attempt that of the first', () => {
    const memory = SharedGradients.create(4, 2)!;
    const own = new OwnGradients(SharedGradients.open(memory.address, 4), pino({ level: 'silent' }));
    const put = (step: number, shard: number, offset = 0) =>
      own.put(step, shard, offset, floats.subarray(offset));
    expect([put(3, 7), put(3, 7, 2), put(3, 2), put(3, 7)]).toEqual([0, 0, 1, 0]);
    // There is no third place: this one travels.
    expect(put(3, 9)).toBeUndefined();
    expect([put(4, 9), put(4, 7)]).toEqual([0, 1]);
    const found = new Float32Array(4);
    memory.places[1]!.read(0, found);
    expect(found).toEqual(floats);
    memory.close();
  });

  it('give up for good when nothing can be written any more', () => {
    const memory = SharedGradients.create(4, 2)!;
    const theirs = SharedGradients.open(memory.address, 4);
    const warnings: string[] = [];
    const log = pino({ level: 'warn' }, { write: (line: string) => warnings.push(JSON.parse(line).msg) });
    const own = new OwnGradients(theirs, log);
    theirs.close();
    expect([own.put(3, 0, 0, floats), own.put(4, 0, 0, floats)]).toEqual([undefined, undefined]);
    expect(warnings).toEqual([expect.stringMatching(/^sending gradients over the data link from now on: /)]);
    memory.close();
  });

  it('say nothing of what is put after the end of their job', () => {
    const memory = SharedGradients.create(4, 2)!;
    const warnings: string[] = [];
    const log = pino({ level: 'warn' }, { write: (line: string) => warnings.push(line) });
    const own = new OwnGradients(SharedGradients.open(memory.address, 4), log);
    own.close();
    expect(own.put(3, 0, 0, floats)).toBeUndefined();
    expect(warnings).toEqual([]);
    memory.close();
  });
});
