/** The documentation: every error is explained, the reference is generated whole, the site builds without a dead link. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { errorCodes } from '@kasane/protocol/errors';
import { expect, it } from 'vitest';
import { checkout } from './support/image.ts';

const run = promisify(execFile);
const page = (name: string) => readFileSync(join(checkout, 'docs', name), 'utf8');

it('every error has its section, with its exit code, and nothing else has one', () => {
  const sections = page('troubleshooting.md')
    .split(/^## /m)
    .slice(1)
    .map((text) => [/^\w+/.exec(text)![0], Number(/Exit code (\d+)\./.exec(text)?.[1])]);
  const codes = Object.entries(errorCodes).map(([code, { exit }]) => [code, exit]);
  expect(sections).toEqual(codes);
});

it('the site builds, with the reference', { timeout: 600_000 }, async () => {
  const docs = join(checkout, 'scripts/docs.mjs');
  const { stderr } = await run(process.execPath, [docs], { maxBuffer: 16 << 20 });
  expect(stderr).not.toMatch(/dead link/);
  for (const name of ['index', 'tutorial', 'concepts/a-step', 'reference/cli', 'decisions/001-cli'])
    expect(existsSync(join(checkout, 'docs/.vitepress/dist', `${name}.html`)), name).toBe(true);
  const cli = page('reference/cli.md');
  for (const command of ['train', 'coordinator', 'context add', 'data pack'])
    expect(cli).toContain(`## kasane ${command}\n`);
  expect(cli).toContain('Examples:');
  const job = page('reference/job-file.md');
  for (const key of ['training.learningRate', 'data.format', 'checkpoint.everySteps'])
    expect(job).toContain(`| \`${key}\` |`);
  expect(page('reference/grpc.md')).toContain('service Jobs');
});
