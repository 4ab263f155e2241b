import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { datasetOfArrays } from '../src/arrays.ts';
import type { DataParts, Dataset } from '../src/dataset.ts';
import { anywhere } from '../src/files/access.ts';
import { DiskCache } from '../src/packed/disk-cache.ts';
import { packData } from '../src/packed/pack.ts';
import { openPacked } from '../src/packed/packed.ts';
import { parseIndex } from '../src/packed/packed-index.ts';
import { fetchFile } from '../src/packed/remote.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-packed-'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

const WIDTH = 100;
/** A chunk holds ten samples: a part takes several. */
const indexIn = (folder: string) => parseIndex(readFileSync(join(folder, 'index.json')), folder);
const pack = (folder: string, onChunk?: () => void) => packData(parts, folder, onChunk, 10 * 404);
const make = (samples: number, first: number): Dataset =>
  datasetOfArrays({
    samples,
    input: { dtype: 'f32', shape: [WIDTH] },
    target: { dtype: 'i32', shape: [] },
    inputs: Float32Array.from(
      { length: samples * WIDTH },
      (_, i) => first + (i % 1013) + Math.floor(i / WIDTH),
    ),
    targets: Int32Array.from({ length: samples }, (_, i) => i % 3),
    classes: 3,
  });
const parts: DataParts = {
  train: make(25, 0),
  test: make(4, 5000),
  preparation: { classes: ['a', 'b', 'c'] },
};
const gather = async (part: Dataset, ...indices: number[]) => {
  const [inputs, targets] = [new Uint8Array(4 * WIDTH * indices.length), new Uint8Array(4 * indices.length)];
  await part.gather(Uint32Array.from(indices), inputs, targets);
  return { inputs, labels: [...new Int32Array(targets.buffer)] };
};
const expectSame = async (opened: DataParts) => {
  const order = [24, 3, 0, 11, 23];
  for (const [part, indices] of [
    ['train', order],
    ['test', [3, 1]],
  ] as const) {
    const [found, wanted] = [await gather(opened[part], ...indices), await gather(parts[part], ...indices)];
    expect(found.labels).toEqual(wanted.labels);
    expect(Buffer.compare(found.inputs, wanted.inputs)).toBe(0);
  }
};

describe('packed data', () => {
  it('gives back what went in, in any order, with names and counts', async () => {
    const digest = await pack(folder);
    const opened = await openPacked(folder, digest, anywhere);
    expect(opened.preparation).toEqual(parts.preparation);
    expect(opened.train).toMatchObject({
      samples: 25,
      classes: 3,
      counts: [9, 8, 8],
      input: parts.train.input,
    });
    expect(indexIn(folder).train.chunks).toHaveLength(3);
    await expectSame(opened);
    // A second time from memory.
    await expectSame(opened);
    await expect(gather(opened.train, 25)).rejects.toThrow('sample 25 of 25');
  });

  it('is the same for the same data, wherever it is written, and is never written over', async () => {
    const other = mkdtempSync(join(tmpdir(), 'kasane-packed-'));
    expect(await pack(folder)).toBe(await pack(other));
    expect(readdirSync(join(folder, 'chunks')).sort()).toEqual(readdirSync(join(other, 'chunks')).sort());
    rmSync(other, { recursive: true });
    await expect(pack(folder)).rejects.toThrow(/it already contains packed data/);
  });

  it('without its index there is none: packing that was cut short is taken up again', async () => {
    let chunks = 0;
    const cut = pack(folder, () => {
      if (++chunks === 2) throw new Error('cut short');
    });
    await expect(cut).rejects.toThrow('cut short');
    await expect(openPacked(folder, undefined, anywhere)).rejects.toThrow(
      /it contains no packed data \(no index\.json/,
    );
    const before = statSync(join(folder, 'chunks', readdirSync(join(folder, 'chunks'))[0]!)).mtimeMs;
    await pack(folder);
    const names = readdirSync(join(folder, 'chunks'));
    expect(
      Math.min(...names.map((name) => statSync(join(folder, 'chunks', name)).mtimeMs)),
    ).toBeLessThanOrEqual(before);
    await expectSame(await openPacked(folder, undefined, anywhere));
  });

  it('names a chunk that is damaged, cut short or gone', async () => {
    await pack(folder);
    const index = indexIn(folder);
    const path = join(folder, 'chunks', index.train.chunks[1]!);
    const good = readFileSync(path);
    const last = async () => gather((await openPacked(folder, undefined, anywhere)).train, 12);
    good[5]! ^= 1;
    writeFileSync(path, good);
    await expect(last()).rejects.toThrow(new RegExp(`${index.train.chunks[1]}: it is damaged`));
    writeFileSync(path, good.subarray(9));
    await expect(last()).rejects.toThrow(/it is damaged: \d+ bytes of \d+/);
    rmSync(path);
    await expect(last()).rejects.toThrow(/file not found, so this copy of the packed data is incomplete/);
  });

  it('says when it is opened that a copy of it lacks test data, and not when that is reached', async () => {
    await pack(folder);
    const path = join(folder, 'chunks', indexIn(folder).test.chunks[0]!);
    const whole = readFileSync(path);
    const open = () => openPacked(folder, undefined, anywhere);
    rmSync(path);
    await expect(open()).rejects.toThrow(`${path}: file not found, so this copy`);
    writeFileSync(path, whole.subarray(1));
    await expect(open()).rejects.toThrow(`${path}: it is damaged`);
    rmSync(path);
    mkdirSync(path);
    await expect(open()).rejects.toThrow(`${path}: it is a folder`);
  });

  it('is not written among other files', async () => {
    writeFileSync(join(folder, 'cats.txt'), '');
    await expect(pack(folder)).rejects.toThrow('it contains other files, such as cats.txt');
    expect(readdirSync(folder)).toEqual(['cats.txt']);
  });

  it.each<[string, (index: Record<string, unknown>) => unknown, RegExp]>([
    ['no JSON', () => 'x'.repeat(9), /it is no JSON|its format/],
    ['another format', (index) => ({ ...index, format: 'other' }), /its format is "other"/],
    ['a strange field', (index) => ({ ...index, input: { dtype: 'f16', shape: [2] } }), /input is .*f16/],
    [
      'a shape that is too large',
      (index) => ({ ...index, input: { dtype: 'f32', shape: [2 ** 40] } }),
      /input is/,
    ],
    [
      'chunks that do not fit the samples',
      (index) => ({ ...index, train: { ...(index.train as object), samples: 99 } }),
      /train: .*inconsistent/,
    ],
    [
      'a chunk that is a path',
      (index) => ({ ...index, test: { samples: 4, chunks: ['../../../etc/passwd'] } }),
      /test: /,
    ],
    ['no preparation', (index) => ({ ...index, preparation: null }), /preparation/],
  ])('refuses an index with %s', async (_, change, message) => {
    await pack(folder);
    const path = join(folder, 'index.json');
    const index = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    writeFileSync(path, JSON.stringify(change(index)));
    await expect(openPacked(folder, undefined, anywhere)).rejects.toThrow(message);
  });

  it('refuses an index other than the one that is expected', async () => {
    await pack(folder);
    await expect(openPacked(folder, 'f'.repeat(64), anywhere)).rejects.toThrow(
      /not the index that the coordinator uses/,
    );
  });
});

describe('over http', () => {
  let server: Server;
  let asked: string[] = [];
  let broken: ((path: string) => number | 'hang up' | undefined) | undefined;
  let root: string;
  beforeEach(async () => {
    await pack(folder);
    asked = [];
    broken = undefined;
    server = createServer((request, response) => {
      const path = request.url!;
      asked.push(path);
      const fault = broken?.(path);
      if (fault === 'hang up')
        return void response.writeHead(200, { 'content-length': 1000 }).write('x', () => response.destroy());
      if (fault !== undefined) return void response.writeHead(fault).end();
      response.end(readFileSync(join(folder, path)));
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    root = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    vi.stubEnv('KASANE_CACHE', join(folder, 'cache'));
    vi.stubEnv('KASANE_ALLOW_LOCAL_URLS', '1');
  });
  afterEach(() => server.close());

  it('fetches each chunk once, and keeps it on disk', async () => {
    await expectSame(await openPacked(root, undefined, anywhere));
    const fetched = asked.filter((path) => path.startsWith('/chunks/'));
    expect(fetched).toHaveLength(new Set(fetched).size);
    asked = [];
    await expectSame(await openPacked(`${root}/`, undefined, anywhere));
    expect(asked).toEqual(['/index.json']);
  });

  it('fetches again what is damaged on disk', async () => {
    const opened = await openPacked(root, undefined, anywhere);
    await gather(opened.train, 0);
    const [name] = indexIn(folder).train.chunks;
    writeFileSync(join(folder, 'cache', name!), 'damaged');
    await expectSame(await openPacked(root, undefined, anywhere));
  });

  it('tries again after a broken connection and a busy server, and says what does not pass', async () => {
    let times = 0;
    broken = (path) =>
      path.startsWith('/chunks/') && ++times <= 2 ? (times === 1 ? 503 : 'hang up') : undefined;
    await expectSame(await openPacked(root, undefined, anywhere));
    expect(times).toBeGreaterThan(2);
    broken = () => 404;
    await expect(openPacked(root, undefined, anywhere)).rejects.toThrow(/index\.json: status 404/);
    await expect(fetchFile(`${root}/index.json`, 10, anywhere)).rejects.toThrow(/status 404/);
    broken = undefined;
    await expect(fetchFile(`${root}/index.json`, 10, anywhere)).rejects.toThrow(/more than 10 bytes/);
  });

  it.each([
    [
      'a file that comes in pieces of one byte, before they cost memory',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
      '1\r\n{\r\n',
      /in pieces of a few bytes/,
    ],
    [
      'a server that says without end that it goes on',
      '',
      'HTTP/1.1 100 Continue\r\n\r\n',
      /without an answer/,
    ],
    ['the same of hints', '', 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n', /without an answer/],
  ])('refuses %s', async (_, head, piece, message) => {
    const crumbs = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => {
        socket.write(head);
        const some = Buffer.from(piece.repeat(10_000));
        const go = (): void => {
          while (!socket.destroyed) if (!socket.write(some)) return void socket.once('drain', go);
        };
        go();
      });
    }).listen(0, '127.0.0.1');
    try {
      await once(crumbs, 'listening');
      const url = `http://127.0.0.1:${(crumbs.address() as AddressInfo).port}/index.json`;
      await expect(fetchFile(url, 1 << 26, anywhere)).rejects.toThrow(message);
    } finally {
      crumbs.close();
    }
  });

  it.each([
    [
      'switches to another protocol',
      'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n',
      /without an answer/,
    ],
    ['answers in part', 'HTTP/1.1 206 Partial\r\nContent-Length: 2\r\n\r\n{}', /status 206; expected 200/],
    ['sends less than it says', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}', /closed the connection/],
    ['sends more than it says', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}}}', /./],
    [
      'gives two lengths',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n2\r\n{}',
      /Parse Error/,
    ],
    [
      'leads elsewhere',
      'HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n',
      /status 302; expected 200/,
    ],
    ['says nothing', '', /closed the connection/],
  ])('ends with a server that %s', async (_, answer, message) => {
    const odd = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.end(answer));
    }).listen(0, '127.0.0.1');
    try {
      await once(odd, 'listening');
      const url = `http://127.0.0.1:${(odd.address() as AddressInfo).port}`;
      await expect(openPacked(url, undefined, anywhere)).rejects.toThrow(message);
    } finally {
      odd.close();
    }
  });

  it('stops when it is told to, and not what was opened before', async () => {
    const stop = new AbortController();
    const opened = await openPacked(root, undefined, { ...anywhere, signal: stop.signal });
    stop.abort();
    await expectSame(opened);
    await expect(openPacked(root, undefined, { ...anywhere, signal: stop.signal })).rejects.toThrow(
      /index\.json: reading was stopped/,
    );
    const silent = createTcpServer(() => {}).listen(0, '127.0.0.1');
    try {
      await once(silent, 'listening');
      const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
      const later = new AbortController();
      const opening = openPacked(url, undefined, { ...anywhere, signal: later.signal });
      setTimeout(() => later.abort(), 50);
      await expect(opening).rejects.toThrow(/reading was stopped/);
    } finally {
      silent.close();
    }
  });

  it('gives up on a server that drips, and does not ask it again', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    let asks = 0;
    const drip = createTcpServer((socket) => {
      asks++;
      socket.on('error', () => {});
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 60000000\r\n\r\n{');
        vi.advanceTimersByTime(30_000);
      });
    }).listen(0, '127.0.0.1');
    try {
      await once(drip, 'listening');
      const url = `http://127.0.0.1:${(drip.address() as AddressInfo).port}/index.json`;
      await expect(fetchFile(url, 1 << 26, anywhere)).rejects.toThrow(
        /the server is too slow: \d bytes? in 30 s; expected at least 524288/,
      );
      expect(asks).toBe(1);
    } finally {
      vi.useRealTimers();
      drip.close();
    }
  });

  it('asks no address of this machine unless that is allowed, by number or by name', async () => {
    vi.stubEnv('KASANE_ALLOW_LOCAL_URLS', '');
    const port = new URL(root).port;
    for (const host of [
      '127.0.0.1',
      'localhost',
      '[::1]',
      '0.0.0.0',
      '169.254.169.254',
      '[::ffff:127.0.0.1]',
      '127.1',
      '10.0.0.1',
      '192.168.1.1',
      '[fd00::1]',
      '[64:ff9b::7f00:1]',
    ])
      await expect(fetchFile(`http://${host}:${port}/index.json`, 1e6, anywhere)).rejects.toThrow(
        /address of this machine or its network.*--url-host/,
      );
    expect(asked).toEqual([]);
  });
});

describe('the disk cache', () => {
  it('takes no more bytes than allowed: what was used longest ago goes', async () => {
    const cache = new DiskCache({ folder: join(folder, 'cache'), bytes: 1000 });
    const put = (name: string) => cache.path(name, async () => new Uint8Array(200));
    for (const name of ['a', 'b', 'c', 'd']) {
      await put(name);
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
    await cache.path('a', () => Promise.reject(new Error('it is there')));
    await new Promise((resolve) => setTimeout(resolve, 15));
    for (const name of ['e', 'f', 'g']) await put(name);
    const names = readdirSync(join(folder, 'cache'));
    expect(names.length).toBeLessThanOrEqual(5);
    expect(names).toContain('a');
    expect(names).toContain('g');
    expect(names).not.toContain('b');
  });

  it('fetches once for all who ask at once, and keeps nothing of what failed', async () => {
    const cache = new DiskCache({ folder: join(folder, 'cache'), bytes: 1000 });
    let fetched = 0;
    const fetch = async () => {
      fetched++;
      return new Uint8Array(10);
    };
    await Promise.all([cache.path('a', fetch), cache.path('a', fetch), cache.path('a', fetch)]);
    expect(fetched).toBe(1);
    await expect(cache.path('b', () => Promise.reject(new Error('gone')))).rejects.toThrow('gone');
    expect(readdirSync(join(folder, 'cache'))).toEqual(['a']);
  });
});

describe('an index that was edited by hand', () => {
  interface Editable {
    digest?: string;
    preparation: { classes: string[] };
    train: Record<string, unknown>;
    test: Record<string, unknown>;
  }
  /** @param isOld as one that was packed before there was a digest of it */
  const edited = async (isOld: boolean, edit: (index: Editable) => void) => {
    await pack(folder);
    const path = join(folder, 'index.json');
    const index = JSON.parse(readFileSync(path, 'utf8')) as Editable;
    if (isOld) delete index.digest;
    edit(index);
    writeFileSync(path, JSON.stringify(index));
    return openPacked(folder, undefined, anywhere);
  };

  it('is refused, whatever was changed', async () => {
    const rename = (index: Editable) => {
      index.preparation.classes = ['b', 'a', 'c'];
    };
    await expect(edited(false, rename)).rejects.toThrow(
      /index\.json: it was changed after the data was packed, or is damaged\. Copy it again, or pack/,
    );
    await expect(openPacked(folder, undefined, anywhere)).rejects.toThrow('it was changed');
  });

  it('is read where nothing but its spaces differ', async () => {
    await expectSame(await edited(false, () => {}));
  });

  it.each([
    ['counts that are more than the samples', { counts: [9, 9, 9] }],
    ['counts of fewer classes', { counts: [17, 8] }],
    ['more classes than names', { classes: 4, counts: [9, 8, 8, 0] }],
  ])('is refused without a digest as well: %s', async (_, train) => {
    const opened = edited(true, (index) => Object.assign(index.train, train));
    await expect(opened).rejects.toThrow(
      'train: its samples, chunks, classes, counts or ranges are inconsistent',
    );
  });

  it('that says fewer classes than there are is refused at the first such sample', async () => {
    const { train } = await edited(true, (index) => {
      index.preparation.classes.pop();
      Object.assign(index.train, { classes: 2, counts: [13, 12] });
      Object.assign(index.test, { classes: 2, counts: [2, 2] });
    });
    await expect(gather(train, 0, 1)).resolves.toBeDefined();
    await expect(gather(train, 0, 2)).rejects.toThrow('train: sample 2 has label 2, but there are 2 classes');
  });

  it('that names a chunk in both parts is told of', async () => {
    const { notes } = await edited(true, (index) => {
      index.test = index.train;
    });
    expect(notes?.join()).toContain('3 chunks of the test data are also in the training data');
  });
});
