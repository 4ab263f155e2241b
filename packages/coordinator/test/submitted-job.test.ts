/** Files of jobs as they are submitted: those of any size that a job may have give the same job, others are refused before they are parsed. */
import { parseJobFile } from '@kasane/protocol/job-file';
import { describePreset } from '@kasane/tensor/models/presets';
import { afterAll, expect, it } from 'vitest';
import { SubmittedFiles } from '../src/submit/submitted-job.ts';

const files = new SubmittedFiles();
afterAll(() => files.close());
const asker = { caller: 'a', signal: new AbortController().signal };
const submittedJob = (file: string) => files.job(file, asker);

const large = { name: 'large', model: describePreset('resnet-152', {}), data: { path: 'data' } };

it.each([
  ['as programs write it', JSON.stringify(large)],
  ['indented', JSON.stringify(large, null, 2)],
  ['small', 'name: a\nmodel: { preset: mnist-mlp }\n'],
])('gives the job of a file: %s', async (_, file) => {
  expect((await submittedJob(file)).spec).toEqual(parseJobFile(file, 'job file').spec);
});

it('says on which line of a large file something is wrong', async () => {
  const file = JSON.stringify(large, null, 2).replace('"large"', '"not a name"');
  await expect(submittedJob(file)).rejects.toThrow(/^job file:2: name: expected only letters, digits/);
});

it.each([
  ['three megabytes', '{"a":['.repeat(1 << 19)],
  ['a megabyte of escape characters', '\u001b'.repeat(1 << 20)],
  ['a megabyte of line ends', '\n'.repeat(1 << 20)],
])('refuses %s with the size and the limit', async (_, file) => {
  const says = `job file: ${file.length} bytes; at most 262144 are allowed`;
  await expect(submittedJob(file)).rejects.toMatchObject({ code: 'LIMIT', message: says });
});

it('parses file after file in one thread, also after one that was refused', async () => {
  let threads = 0;
  const started = () => threads++;
  process.on('worker', started);
  const fresh = new SubmittedFiles();
  const file = JSON.stringify(large, null, 2);
  try {
    await expect(fresh.job(file.replace('"large"', '"not a name"'), asker)).rejects.toThrow(/name/);
    for (let i = 0; i < 3; i++) await fresh.job(file, asker);
    expect(threads).toBe(1);
    // It may have been idle for long, and comes again.
    fresh.close();
    await fresh.job(file, asker);
    expect(threads).toBe(2);
  } finally {
    process.off('worker', started);
    fresh.close();
  }
});
