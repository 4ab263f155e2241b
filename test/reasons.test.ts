/** Every reason of the coordinator has a sentence in English and one in Japanese, which say all that is known. */
import {
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { diskReason, isDiskError, RetryingDisk } from '@kasane/coordinator/internal/store/disk';
import { StatePlace } from '@kasane/coordinator/internal/store/state-place';
import { Reason as ReasonMessage } from '@kasane/protocol/gen/kasane/v1/common';
import {
  at,
  isPassing,
  japaneseTexts,
  knownReason,
  messageOfReason,
  type Reason,
  type ReasonCode,
  reasons,
  saidInJapanese,
  sentenceOf,
} from '@kasane/protocol/reasons';
import { systemCodes } from '@kasane/tensor/internal/node/system-errors';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { arbitraryOf, englishIn, leaves } from './support/forms.ts';

const codes = Object.keys(reasons) as ReasonCode[];
const argsOf = (code: ReasonCode) => arbitraryOf(reasons[code].args) as fc.Arbitrary<Record<string, unknown>>;
const reasonOf = (code: ReasonCode, args: object) => ({ code, args }) as Reason;

/** Permission is denied by two codes of the system. */
const meaning = (args: object) => JSON.stringify(args).replace('EPERM', 'EACCES');

describe.each(codes)('%s', (code) => {
  it('says its arguments in both languages', () => {
    fc.assert(
      fc.property(argsOf(code), (args) => {
        const reason = reasonOf(code, args);
        const sentences = [sentenceOf(reason), sentenceOf(reason, japaneseTexts)];
        for (const leaf of leaves(args, reasons[code].args))
          for (const sentence of sentences) expect(sentence).toContain(leaf);
        expect(sentences[1]).toMatch(/[ぁ-んァ-ン]/);
        expect(englishIn(sentences[1]!)).toEqual([]);
      }),
      { numRuns: 30 },
    );
  });

  it('says something else where an argument is another', () => {
    fc.assert(
      fc.property(argsOf(code), argsOf(code), (args, others) => {
        fc.pre(meaning(args) !== meaning(others));
        for (const texts of [undefined, japaneseTexts])
          expect(sentenceOf(reasonOf(code, args), texts)).not.toBe(sentenceOf(reasonOf(code, others), texts));
      }),
      { numRuns: Object.keys(reasons[code].args).length > 0 ? 200 : 0 },
    );
  });

  it('comes over a wire as it was, with its sentence', () => {
    fc.assert(
      fc.property(argsOf(code), (args) => {
        const reason = at(reasonOf(code, args), { step: 7 });
        const came = ReasonMessage.decode(ReasonMessage.encode(messageOfReason(reason)).finish());
        expect(knownReason(came)).toEqual(reason);
        expect(came.text).toBe(sentenceOf(reason));
        expect(came.text).toMatch(/^step 7: ./);
        expect(saidInJapanese(came)).toMatch(/^ステップ 7：./);
      }),
      { numRuns: 30 },
    );
  });
});

it('what is written is named in both languages', () => {
  const full: Reason = { code: 'disk', args: { cause: 'ENOSPC' } };
  const writings = Object.keys(japaneseTexts.writings) as (keyof typeof japaneseTexts.writings)[];
  const said = writings.map((writing) => at(full, { writing, of: 'mnist-1' }));
  expect(new Set(said.map((reason) => sentenceOf(reason))).size).toBe(writings.length);
  for (const reason of said) {
    expect(sentenceOf(reason)).toMatch(/ could not be written: no space is left/);
    expect(sentenceOf(reason, japaneseTexts)).toMatch(/を書き込めません。コーディネーターのディスクに空き/);
  }
});

it.each<[string, ReasonMessage]>([
  ['of a later version', { code: 'moon-full', args: '{"phase":4}', text: 'the moon is full' }],
  ['with other arguments', { code: 'paused', args: '{"task":"x"}', text: 'the moon is full' }],
  ['about something else', { code: 'no-worker', args: '{"writing":"poems"}', text: 'the moon is full' }],
  ['without arguments', { code: 'disk', args: '', text: 'the moon is full' }],
  ['with the name of what every object has', { code: 'toString', args: '{}', text: 'the moon is full' }],
])('a reason %s is shown as the sentence that came', (_, said) => {
  expect(saidInJapanese(said)).toBe('the moon is full');
  expect(knownReason(said)).toBeUndefined();
});

it('a job that waits in passing is told from one that is held up', () => {
  const passing = codes.filter((code) => isPassing({ code }));
  expect(passing.sort()).toEqual([
    'reading-data',
    'shards-computing',
    'shards-overdue',
    'shards-returned',
    'shards-unfetched',
    'shards-waiting',
    'stopping',
    'turns',
  ]);
  expect(isPassing({ code: 'of-later' })).toBe(false);
});

it('a disk that hangs is told of while it does, also where nothing is written anew', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const said: unknown[] = [];
    const disk: RetryingDisk = new RetryingDisk({ warn: () => {} }, () => said.push(disk.why?.code));
    let end = () => {};
    const hung = () => new Promise<void>((resolve) => (end = resolve));
    const written = disk.write({ writing: 'model' }, hung);
    await vi.advanceTimersByTimeAsync(9_000);
    expect(said).toEqual([]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(said).toEqual(['disk-silent']);
    end();
    await written;
    expect(said).toEqual(['disk-silent', undefined]);
    const since = new Date(2026, 0, 1, 12, 3, 5);
    const heard = disk.hear(hung(), { of: 'j' }, since);
    await vi.advanceTimersByTimeAsync(11_000);
    expect(disk.why).toEqual({ code: 'disk-silent', args: { of: 'j', since: '12:03:05' } });
    expect(sentenceOf(disk.why!)).toBe(
      "the coordinator's disk has not finished a write since 12:03:05; check the disk",
    );
    end();
    await heard;
    expect(disk.why).toBeUndefined();
  } finally {
    vi.useRealTimers();
  }
});

describe('a disk that refuses', () => {
  const since = '12:03:05';

  it('says what is written, and waits', async () => {
    const locked = Object.assign(new Error('database is locked'), { errcode: 5 });
    expect(diskReason(locked, since)).toEqual({ code: 'database-locked', args: { since } });
    const disk: RetryingDisk = new RetryingDisk({ warn: () => {} }, () => disk.stop(new Error('over')));
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    await expect(disk.write({ writing: 'model' }, () => Promise.reject(full))).rejects.toThrow('over');
    expect(disk.why).toEqual({ code: 'disk', args: { writing: 'model', cause: 'ENOSPC' } });
    expect(sentenceOf(disk.why!)).toBe(
      "the model could not be written: no space is left on the disk; free up space or inodes on the coordinator's disk (see `df -h` and `df -i`)",
    );
  });

  it('in words, whatever the system or SQLite calls it', () => {
    const found = systemCodes.flatMap(
      (code) => diskReason(Object.assign(new Error(`${code}: words of the system`), { code }), since) ?? [],
    );
    expect(found.length).toBeGreaterThan(12);
    for (const reason of found) expect(sentenceOf(reason)).not.toMatch(/\bE[A-Z]{3,}\b|words of the system/);
    for (const errcode of [3, 8, 10, 13, 14])
      expect(isDiskError(Object.assign(new Error('of SQLite'), { errcode }))).toBe(true);
    expect(isDiskError(new Error('of somebody else'))).toBe(false);
  });
});

it('a state directory that is away', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kasane-test-'));
  try {
    const [state, database] = [join(folder, 'state'), join(folder, 'state', 'kasane.sqlite')];
    mkdirSync(state);
    writeFileSync(database, '');
    const place = StatePlace.of(database);
    const why = async () => {
      const error = await place.require().catch((thrown: unknown) => thrown);
      expect(() => place.requireSync()).toThrow((error as Error).message);
      const reason = diskReason(error, '12:03:05')!;
      expect(sentenceOf(reason)).toBe((error as Error).message);
      return reason;
    };
    const said: Reason[] = [];
    renameSync(database, `${database}.away`);
    said.push(await why());
    writeFileSync(database, '');
    said.push(await why());
    renameSync(state, `${state}.away`);
    said.push(await why());
    mkdirSync(state);
    said.push(await why());
    rmdirSync(state);
    // A loop of links cannot be looked into, as a folder without permission cannot, whoever runs this.
    symlinkSync('state', state);
    said.push(await why());
    unlinkSync(state);
    renameSync(`${state}.away`, state);
    renameSync(`${database}.away`, database);
    await place.require();
    place.requireSync();
    const [inIt, it] = [
      { part: 'database', path: database },
      { part: 'directory', path: state },
    ];
    expect(said).toEqual([
      { code: 'state-moved', args: inIt },
      { code: 'state-replaced', args: inIt },
      { code: 'state-moved', args: it },
      { code: 'state-replaced', args: it },
      { code: 'state-closed', args: { path: state, cause: 'ELOOP' } },
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
