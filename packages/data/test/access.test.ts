/** What a job may name: folders, symbolic links followed, and hosts, by name and by the address that a name turns out to have. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isNotPublic } from '@kasane/tensor/internal/node/ip-ranges';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { DataError } from '../src/dataset.ts';
import { accessBeyond, anywhere, checkPath, checkUrl, mayConnect } from '../src/files/access.ts';
import { type DataOptions, openData } from '../src/open.ts';
import { fetchFile } from '../src/packed/remote.ts';

let folder: string;
let allowed: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-test-'));
  allowed = join(folder, 'allowed');
  mkdirSync(join(allowed, 'inner'), { recursive: true });
  mkdirSync(join(folder, 'allowed-not'));
  writeFileSync(join(folder, 'secret.csv'), 'x,y\n1,2\n');
  writeFileSync(join(allowed, 'table.csv'), 'x,y\n1,a\n2,b\n3,a\n4,b\n5,a\n6,b\n');
  symlinkSync(join(folder, 'secret.csv'), join(allowed, 'link.csv'));
  symlinkSync(folder, join(allowed, 'up'));
  symlinkSync(allowed, join(folder, 'other-name'));
  symlinkSync(allowed, join(allowed, 'inner', 'top'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => vi.unstubAllEnvs());

describe('paths', () => {
  const check = (path: string, roots = [allowed]) => checkPath(path, { ...anywhere, roots }, 'data.path');

  it('are taken below a root, whatever the root is called', () => {
    for (const path of ['table.csv', 'inner', 'not-there-yet/x', '.', 'inner/../table.csv'])
      expect(() => check(join(allowed, path))).not.toThrow();
    expect(() => check(join(folder, 'other-name', 'table.csv'))).not.toThrow();
    expect(() => check(join(allowed, 'table.csv'), [join(folder, 'other-name')])).not.toThrow();
    expect(() => check('/anything', ['/'])).not.toThrow();
    expect(() => checkPath('/etc/passwd', anywhere, 'data.path')).not.toThrow();
  });

  it('are refused beside a root, by dots, by links, and by a name that begins like it', () => {
    const beside = [
      '../secret.csv',
      'link.csv',
      'up/secret.csv',
      'up/allowed-not',
      '../allowed-not/x',
      '../..',
      'inner/top/../secret.csv',
      'inner/top/../not-there',
    ];
    for (const path of beside) expect(() => check(`${allowed}/${path}`), path).toThrow(DataError);
    expect(() => check(join(folder, 'secret.csv'))).toThrow(/only files in .*allowed.*--data-root/);
    expect(() => check('/etc/passwd', [])).toThrow(/no folder may be read here.*--data-root/);
  });

  describe('links in a folder that lead out of the roots', () => {
    const access = (roots: readonly string[] | 'any') => ({ ...anywhere, roots });
    let data: string;
    let outside: string;
    beforeEach(() => {
      data = mkdtempSync(join(allowed, 'data-'));
      outside = mkdtempSync(join(folder, 'outside-'));
      for (const at of [data, outside])
        for (const name of ['cat', 'dog']) {
          mkdirSync(join(at, name));
          for (const i of [1, 2, 3, 4])
            writeFileSync(join(at, name, `${i}.txt`), `text ${name} ${i} `.repeat(9));
        }
    });
    const text = (more: object = {}): DataOptions => ({
      ...{ format: 'text', path: data, layout: 'auto', validation: 0.25, seed: 1, tokenizer: 'byte' },
      ...{ objective: 'classification', vocabulary: 300, context: 8, text: 'x', label: 'y', pad: 'end' },
      ...{ onDamaged: 'fail', ...more },
    });
    const refusal = /links lead from here out of the folders that may be read \(--data-root\)/;

    it('to files are named, and left out where damaged files are', async () => {
      symlinkSync(join(outside, 'cat/1.txt'), join(data, 'cat/secret.txt'));
      await expect(openData(text(), access([allowed]))).rejects.toThrow(refusal);
      const { notes } = await openData(text({ onDamaged: 'skip' }), access([allowed]));
      expect(notes?.join('\n')).toMatch(/cat\/secret\.txt: links lead from here out/);
      await expect(openData(text(), access('any'))).resolves.toBeDefined();
      await expect(openData(text(), access([allowed, outside]))).resolves.toBeDefined();
    });

    it('to folders are named, too, and what is in them is not', async () => {
      symlinkSync(outside, join(data, 'cat/more'));
      const why = await openData(text(), access([allowed])).catch((error: Error) => error.message);
      expect(why).toMatch(refusal);
      expect(why).not.toContain('more/cat');
    });

    it('that stay inside are followed', async () => {
      mkdirSync(join(allowed, 'pool'));
      writeFileSync(join(allowed, 'pool', '5.txt'), 'text cat 5 '.repeat(9));
      symlinkSync(join(allowed, 'pool', '5.txt'), join(data, 'cat/5.txt'));
      const { train, test } = await openData(text(), access([allowed]));
      expect(train.samples + test.samples).toBe(9);
    });

    it('are refused in IDX files, and in packed data', async () => {
      writeFileSync(join(outside, 'index.json'), '{"format":"secret"}');
      symlinkSync(join(outside, 'index.json'), join(data, 'index.json'));
      await expect(openData({ format: 'packed', path: data }, access([allowed]))).rejects.toThrow(
        /--data-root/,
      );
      const names = ['train-images-idx3', 'train-labels-idx1', 't10k-images-idx3', 't10k-labels-idx1'];
      for (const name of names) symlinkSync(join(outside, 'index.json'), join(data, `${name}-ubyte`));
      const idx = { format: 'idx', path: data, mean: 0, std: 1 } as const;
      await expect(openData(idx, access([allowed]))).rejects.toThrow(refusal);
      // What comes with Kasane lies in no root.
      await expect(openData({ ...idx, path: undefined }, access([allowed]))).resolves.toBeDefined();
    });
  });

  it('are refused as URLs, which joined with a name would lie beside the root', async () => {
    const table = {
      format: 'csv',
      target: 'y',
      task: 'classification',
      columns: {},
      onDamaged: 'fail',
    } as const;
    const more = {
      validation: 0.5,
      seed: 1,
      standardize: true,
      standardizeTarget: false,
      missing: 'fail',
    } as const;
    const text = { context: 4, objective: 'next-token', tokenizer: 'byte', vocabulary: 300 } as const;
    const image = { size: 8, channels: 3, fit: 'fill', background: 'auto', mean: 0, std: 1 } as const;
    const named = { text: 'x', label: 'y', pad: 'end', layout: 'auto' } as const;
    for (const path of ['http://../../secret', 'HTTPS://../../secret', 'https://example.com/data.csv']) {
      for (const options of [
        { format: 'idx', path, mean: 0, std: 1 },
        { ...table, ...more, path },
        { ...table, ...more, path: join(allowed, 'table.csv'), test: path },
        { format: 'series', ...more, path, window: 2, horizon: 1, stride: 1, onDamaged: 'fail' },
        { format: 'text', ...more, ...text, ...named, path, onDamaged: 'fail' },
        { format: 'imagefolder', ...more, ...image, path, layout: 'auto', onDamaged: 'fail' },
      ] as const)
        await expect(openData(options as DataOptions, { roots: [allowed], hosts: 'public' })).rejects.toThrow(
          /^data\.(path|test): https?:\S+: format \w+ reads files, not URLs\. Download the file and set data\./i,
        );
    }
  });

  it('say nothing of what is there and what is not', () => {
    const message = (name: string) => {
      try {
        check(join(folder, name));
      } catch (error) {
        return (error as Error).message.replaceAll(name, '');
      }
      return '';
    };
    expect(message('secret.csv')).toBe(message('absent.csv'));
  });

  it.each([
    { format: 'csv', path: 'secret.csv', target: 'y' },
    { format: 'csv', path: 'allowed/table.csv', test: 'secret.csv', target: 'y' },
    { format: 'text', path: 'secret.csv' },
    { format: 'series', path: 'secret.csv', window: 1 },
    { format: 'imagefolder', path: '.' },
    { format: 'idx', path: '.' },
    { format: 'packed', path: '.' },
  ] as const)('are judged in every format: $format', async (data) => {
    const at = (path: string) => join(folder, path);
    const places = { path: at(data.path), ...('test' in data && { test: at(data.test) }) };
    const opened = openData({ ...data, ...places } as never, { ...anywhere, roots: [allowed] });
    await expect(opened).rejects.toThrow(/^data\.(path|test): .*--data-root/);
  });
});

it('what nobody has said is closed beyond loopback, also where it was said to be undefined', () => {
  expect(accessBeyond({}, true)).toEqual(anywhere);
  expect(accessBeyond({}, false)).toEqual({ roots: [], hosts: 'public' });
  expect(accessBeyond({ roots: undefined, hosts: undefined } as never, false).roots).toEqual([]);
  expect(accessBeyond({ roots: ['/data'], hosts: [] }, false)).toEqual({ roots: ['/data'], hosts: [] });
});

describe('hosts', () => {
  const url = (host: string) => new URL(`http://${host}/index.json`);

  it('are taken by name, by address, and below a name', () => {
    const hosts = ['data.example.org', '*.example.com', '10.0.0.5'];
    for (const host of ['data.example.org', 'DATA.example.org:8080', 'a.b.example.com', '10.0.0.5'])
      expect(() => checkUrl(url(host), { ...anywhere, hosts })).not.toThrow();
    for (const host of [
      'example.org',
      'example.com',
      'badexample.com',
      'data.example.org.evil.net',
      '10.0.0.6',
    ])
      expect(() => checkUrl(url(host), { ...anywhere, hosts }), host).toThrow(
        /only be downloaded from data\.example\.org.*--url-host/,
      );
    expect(() => checkUrl(url('anything.example.net'), anywhere)).not.toThrow();
    expect(() => checkUrl(url('anything.example.net'), { ...anywhere, hosts: [] })).toThrow(
      /data may not be downloaded here/,
    );
  });

  it('come without a user and a password, which are not repeated', () => {
    expect(() => checkUrl(url('me:hunter2@example.org'), anywhere)).toThrow(
      /must not contain a user or password/,
    );
    expect(() => checkUrl(url('me:hunter2@example.org'), anywhere)).not.toThrow(/hunter2/);
  });

  it('of private addresses are asked only where they are named themselves', () => {
    const rebound = url('data.example.org');
    expect(mayConnect('93.184.216.34', rebound, anywhere)).toBe(true);
    expect(mayConnect('127.0.0.1', rebound, anywhere)).toBe(false);
    expect(mayConnect('127.0.0.1', rebound, { ...anywhere, hosts: ['*.example.org'] })).toBe(false);
    expect(mayConnect('10.0.0.5', rebound, { ...anywhere, hosts: ['data.example.org'] })).toBe(true);
  });

  it('are private by every range that is', () => {
    const local = [
      ...['127.0.0.1', '127.9.9.9', '0.0.0.0', '10.1.2.3', '172.31.0.1', '192.168.0.1', '100.64.0.1'],
      ...['169.254.169.254', '224.0.0.1', '255.255.255.255', '::1', '::', 'fe80::1', 'fd12::1', 'ff02::1'],
      ...['::ffff:10.0.0.1', '::ffff:a9fe:a9fe', '64:ff9b::7f00:1', '::7f00:1', '2002:7f00:1::'],
      ...['::ffff:0:7f00:1', '64:ff9b:1::7f00:1'],
      // Metadata of clouds: AWS, Alibaba, Oracle, Azure.
      ...['fd00:ec2::254', '100.100.100.200', '192.0.0.192', '168.63.129.16', '64:ff9b::a83f:8110'],
      // Teredo, and an IPv4 address of this machine in it.
      ...['2001::1', '2001:0:4136:e378:8000:63bf:80ff:fffe'],
      // The registries' other ranges, and what is not given out at all.
      ...['192.0.2.1', '192.88.99.1', '198.51.100.7', '203.0.113.9', '240.0.0.1', '100::1', '100:0:0:1::1'],
      ...['2001:2::1', '2001:10::1', '2001:db8::1', '3fff::1', '3fff:fff::1', '5f00::1', 'fec0::1'],
      ...['4000::1', '8000::1', '1::1', '64:ff9b:0:0:0:1::1'],
    ];
    for (const address of local) expect(isNotPublic(address), address).toBe(true);
    for (const address of [
      ...['8.8.8.8', '172.32.0.1', '100.128.0.1', '168.63.129.17', '2606:4700::1', '::ffff:8.8.8.8'],
      ...['64:ff9b::808:808', '2001:4860:4860::8888', '2400:cb00::1', '3ffe:ffff::1'],
    ])
      expect(isNotPublic(address), address).toBe(false);
  });

  it('are not left by a redirect', async () => {
    vi.stubEnv('KASANE_ALLOW_LOCAL_URLS', '1');
    const asked: string[] = [];
    const server: Server = createServer((request, response) => {
      asked.push(request.url!);
      response.writeHead(302, { location: '/secret' }).end();
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    await expect(fetchFile(`http://127.0.0.1:${port}/index.json`, 1e6, anywhere)).rejects.toThrow(
      /status 302/,
    );
    expect(asked).toEqual(['/index.json']);
    server.close();
  });
});
