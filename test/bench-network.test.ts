/** The lab of namespaces says why it does not run where it cannot. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';

it('says what it needs, and starts nothing', () => {
  const script = join(import.meta.dirname, '../bench/run.ts');
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, 'network'], {
    encoding: 'utf8',
    env: { ...process.env, PATH: '/nowhere' },
  });
  expect(stderr).toMatch(
    /^bench network does not run: network namespaces need (Linux|root: run it as root, or with sudo|ip: apt-get install iproute2)\n$/,
  );
  expect({ status, stdout }).toEqual({ status: 69, stdout: '' });
});
