/** What is the user's fault, or the machine's, is never called a bug. */
import { mkdir, open, readFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { KasaneError } from '@kasane/protocol/errors';
import { systemCodes } from '@kasane/tensor/internal/node/system-errors';
import { describe, expect, it } from 'vitest';
import { sources } from '../../../test/support/sources.ts';
import { failureOf, ownErrors, userErrors } from '../src/process/failure.ts';
import { StoppedBySignal } from '../src/process/stop.ts';

const thrown = (code: string, more: object = {}) =>
  Object.assign(new Error(`${code}: words of the system, open '/x'`), {
    code,
    syscall: 'open',
    path: '/x',
    ...more,
  });

describe('the system refuses', () => {
  it.each([
    ['ENOSPC', 74, /^\/x: no space is left on the disk; free up space/],
    ['EDQUOT', 74, /quota/],
    ['EROFS', 73, /read-only/],
    ['EACCES', 77, /^\/x: permission denied/],
    ['EPERM', 77, /permission denied/],
    ['ENOENT', 66, /^\/x: file or folder not found/],
    ['ENOTDIR', 73, /a part of the path is a file/],
    ['EISDIR', 73, /it is a folder/],
    ['EMFILE', 71, /ulimit -n/],
    ['ENOMEM', 71, /memory/],
    ['EIO', 74, /disk/],
    ['ENAMETOOLONG', 73, /too long/],
    ['EADDRINUSE', 69, /in use/],
    ['EAFNOSUPPORT', 69, /IPv6/],
    ['ENOTFOUND', 69, /no host has that name/],
    ['EUNHEARDOF', 71, /the system reported an error/],
  ])('%s', (code, exit, says) => {
    const failure = failureOf(thrown(code));
    expect(failure.exit).toBe(exit);
    expect(failure.message).toMatch(says);
    expect(failure.message).not.toMatch(/a bug|undefined/);
  });

  it('to start a program', () => {
    const error = thrown('ENOENT', { syscall: 'spawn /bin/sh', path: '/bin/sh' });
    expect(failureOf(error).message).toMatch(/^\/bin\/sh could not be started: file or folder not found/);
  });

  it('a working directory that is gone', () => {
    expect(failureOf(thrown('ENOENT', { syscall: 'uv_cwd' }))).toMatchObject({
      exit: 66,
      message: expect.stringMatching(/working directory/),
    });
  });

  it('memory', () => {
    for (const text of ['Array buffer allocation failed', 'WebAssembly.Memory(): could not allocate memory'])
      expect(failureOf(new RangeError(text))).toMatchObject({
        exit: 71,
        message: expect.stringMatching(/not enough memory/),
      });
  });

  it('for real', async () => {
    const real = [
      readFile('/nowhere/x').catch((error: unknown) => error),
      open('/').then(
        (file) => file.close(),
        (error: unknown) => error,
      ),
      mkdir('/dev/null/x').catch((error: unknown) => error),
    ];
    for (const error of (await Promise.all(real)).filter((one) => one !== undefined))
      expect(failureOf(error).message).not.toMatch(/a bug|\bE[A-Z]{3,}\b/);
  });
});

it('what is ours says so', () => {
  expect(failureOf(new TypeError("Cannot read properties of undefined (reading 'x')"))).toMatchObject({
    exit: 70,
    message: expect.stringMatching(/\(this is a bug; set KASANE_DEBUG=1 for a stack trace\)$/),
  });
  expect(failureOf(Object.assign(new TypeError('x'), { code: 'ERR_INVALID_ARG_TYPE' })).exit).toBe(70);
  expect(failureOf(new KasaneError('USAGE', 'x'))).toEqual({ message: 'x', exit: 2 });
});

it("each class of errors is somebody's", () => {
  const classes = [...sources().values()].flatMap((text) => [
    ...text.matchAll(/class (\w+Error) extends \w*Error\b/g),
  ]);
  const names = new Set(classes.map(([, name]) => name!));
  expect(names.size).toBeGreaterThan(10);
  expect(names).toEqual(new Set([...userErrors, ...ownErrors]));
});

it.each(userErrors)('%s has this name, by which it is known', (name) => {
  const named = new RegExp(`override readonly name(: string)? = '${name}'`);
  expect([...sources().values()].some((text) => named.test(text))).toBe(true);
});

it('every code that sources mention has words, in one table, and none of them is shown', () => {
  const listed = new Set<string>(systemCodes);
  const mentioned = new Map<string, string>();
  for (const [path, text] of sources()) {
    if (path.endsWith('tensor/src/node/system-errors.ts')) continue;
    for (const [, code] of text.matchAll(/['"](E(?:IO|[A-Z]{4,}|AI_AGAIN))['"]/g)) mentioned.set(code!, path);
  }
  expect(mentioned.size).toBeGreaterThan(8);
  const known = new Set(Object.keys(constants.errno));
  expect([...mentioned].filter(([code]) => known.has(code) && !listed.has(code))).toEqual([]);
  for (const code of systemCodes) {
    const { message } = failureOf(thrown(code));
    expect(message).not.toMatch(/\bE[A-Z]{3,}\b|words of the system|a bug/);
    expect(message).toMatch(/^\/x: [^;]+; .+/);
  }
});

it('what a signal has ended exits as shells expect it', () => {
  const exits = (['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map(
    (signal) => failureOf(new StoppedBySignal(signal, 'stopped')).exit,
  );
  expect(exits).toEqual([130, 143, 129]);
});
