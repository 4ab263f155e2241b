/** What `kasane train` says while the disk of its cluster refuses to keep the training. */
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { expect, it } from 'vitest';
import { PastDisk } from '../src/commands/train/past-disk.ts';

const said = async (hasBegun: boolean): Promise<string[]> => {
  const lines: string[] = [];
  const unkept = {
    why: { code: 'disk', args: { cause: 'ENOSPC' } },
    ...{ hasBegun, isTrained: false, epochs: [], model: async () => new Uint8Array(0) },
  } as const;
  const past = new PastDisk({
    cluster: { directory: '/tmp/k', unkept: () => unkept },
    ...{ out: 'w.safetensors', version: '', say: (line) => lines.push(line) },
  });
  for (let i = 0; i < 2; i++) expect(await past.isEnough({ id: 'a' } as Job)).toBe(false);
  return lines;
};

it('says once that training continues, and where the weights will be', async () => {
  expect(await said(true)).toEqual([
    expect.stringMatching(
      /\/tmp\/k: no space is left on the disk\. Training continues, .* w\.safetensors\. /,
    ),
  ]);
});

it('does not say so of a training that waits to begin', async () => {
  expect(await said(false)).toEqual([expect.stringContaining('. Training begins when it can be written. ')]);
});
