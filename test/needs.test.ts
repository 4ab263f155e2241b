/** What tests need besides Node is asked for thing by thing, and none of it is taken for granted. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { checkout } from './support/image.ts';
import { missingPackages, needing, needs } from './support/needs.ts';

it('asks for each package by itself, and for each once', () => {
  const need = (packages: Record<string, () => boolean>) => ({ what: 'x', get: 'y', packages });
  const [here, missing] = [() => true, () => false];
  expect(
    missingPackages({
      page: need({ chromium: here }),
      gpu: need({ chromium: here, libvulkan1: missing }),
      python: need({ 'python3-onnx': missing, 'python3-grpcio': here }),
      again: need({ libvulkan1: missing }),
    }),
  ).toEqual(['libvulkan1', 'python3-onnx']);
});

it.each(Object.entries(needs))(
  '%s: says what is missing and how to get it',
  (name, { what, get, packages }) => {
    expect(`${what}: ${get}`).toMatch(/^\S.*\S: \S.*\S$/);
    const before = process.env.KASANE_CI;
    process.env.KASANE_CI = '';
    const options = needing([name as keyof typeof needs], () => false);
    process.env.KASANE_CI = '1';
    expect(() => needing([name as keyof typeof needs], () => false)).toThrow(what);
    if (before === undefined) delete process.env.KASANE_CI;
    else process.env.KASANE_CI = before;
    expect(options).toEqual({ skip: true, meta: { leftOut: [`${what}: ${get}`] } });
    for (const debian of Object.keys(packages)) expect(debian).toMatch(/^[a-z0-9][a-z0-9.+-]+$/);
  },
);

it('no test looks for a Redis on the PATH: the one that Kasane would start is used', () => {
  const tests = ['test', 'packages'].flatMap((folder) =>
    readdirSync(join(checkout, folder), { recursive: true, encoding: 'utf8' })
      .map((path) => join(folder, path))
      .filter((path) => /(^|\/)test\/.*\.ts$/.test(path) && !path.includes('node_modules')),
  );
  expect(tests.length).toBeGreaterThan(150);
  const looking = tests.filter((path) =>
    /['"](redis|valkey)-(server|cli)['"`]/.test(readFileSync(join(checkout, path), 'utf8')),
  );
  expect(looking).toEqual([]);
});
