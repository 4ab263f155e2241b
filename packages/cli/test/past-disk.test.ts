/** What `kasane train` says while the disk of its cluster refuses to keep the training. */
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { expect, it, vi } from 'vitest';
import { PastDisk, watchDisk } from '../src/commands/train/past-disk.ts';

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

it('names the folder once where trials of a sweep are refused', async () => {
  vi.useFakeTimers();
  try {
    const lines: string[] = [];
    const why = { code: 'disk', args: { cause: 'ENOSPC' } } as const;
    const model = async () => new Uint8Array(0);
    const unkept = (id: string) =>
      id === 'b' ? { why, hasBegun: true, isTrained: false, epochs: [], model } : undefined;
    let jobs = ['a'];
    const end = watchDisk(
      { directory: '/tmp/k', unkept },
      () => jobs,
      (line) => lines.push(line),
    );
    vi.advanceTimersByTime(5_000);
    expect(lines).toEqual([]);
    jobs = ['a', 'b'];
    vi.advanceTimersByTime(5_000);
    expect(lines).toEqual([
      expect.stringMatching(
        /state of this sweep .* \/tmp\/k: no space is left on the disk\. Free up .* TMPDIR/,
      ),
    ]);
    end();
  } finally {
    vi.useRealTimers();
  }
});

it('does not say so of a training that waits to begin', async () => {
  expect(await said(false)).toEqual([expect.stringContaining('. Training begins when it can be written. ')]);
});
