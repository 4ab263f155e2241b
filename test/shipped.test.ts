/**
 * What is published, as a stranger gets it: every package packed, judged by publint and Are The Types Wrong, and all of them
 * installed by npm in an empty folder, where `kasane` trains MNIST without this checkout. Then the container image that is made of
 * them, and a cluster of it by compose.yaml.
 */
import { execFile } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { cacheDirectory } from '@kasane/cli/internal/redis/apt';
import { freePort } from '@kasane/cli/internal/redis/start';
import { jobPresets } from '@kasane/protocol/internal/job/presets';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CleanUp, smallMnist, temporaryDirectory } from './support/cluster.ts';
import { main } from './support/commands.ts';
import { checkout, makeBaseImage } from './support/image.ts';
import { composeCommand, needing } from './support/needs.ts';
import { packAll } from './support/pack.ts';
import { startRegistry } from './support/registry.ts';

const run = promisify(execFile);
const cleanUp = new CleanUp();
const folder = temporaryDirectory(cleanUp);
const stranger = join(folder, 'stranger');
const packages = readdirSync(join(checkout, 'packages'));
let tarballs: Map<string, string>;
afterAll(() => cleanUp.run());

/** Seven compilations, or an installation, on a busy machine. */
const PATIENCE_MS = 600_000;
const WAIT = { timeout: 120_000, interval: 500 };

beforeAll(async () => {
  tarballs = await packAll(folder);
}, PATIENCE_MS);

describe.each(packages)('@kasane/%s', (name) => {
  const manifestOf = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;

  it('is what publint would publish', async () => {
    const bytes = readFileSync(tarballs.get(name)!);
    const tarball = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
    const { messages, pkg } = await publint({ pack: { tarball } });
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
    // What npm shows and asks for.
    expect(pkg).toMatchObject({ license: 'MIT', type: 'module', publishConfig: { access: 'public' } });
    const { version } = manifestOf(join(checkout, 'packages/cli/package.json'));
    expect(pkg.version).toBe(version);
    // All were built at once here; whoever publishes one alone builds it by this.
    const { scripts } = manifestOf(join(checkout, 'packages', name, 'package.json'));
    expect(scripts).toMatchObject({ prepack: 'node ../../scripts/build.mjs' });
  });

  it('has types for every module', async () => {
    const tarball = createPackageFromTarballData(readFileSync(tarballs.get(name)!));
    const prefix = `/node_modules/@kasane/${name}/`;
    const files = tarball.listFiles().map((path) => path.slice(prefix.length));
    expect(files).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'package.json']));
    expect(files.filter((path) => /^src\/|(^|\/)test\/|\.test\./.test(path))).toEqual([]);
    const modules = files.flatMap((path) => /^dist\/(.+)\.js$/.exec(path)?.[1] ?? []);
    expect(modules.length).toBeGreaterThan(0);
    // The public modules, and one that stands for all others, which have one rule in `exports`.
    const exports = manifestOf(join(checkout, 'packages', name, 'package.json')).exports as Record<
      string,
      string
    >;
    const published = Object.keys(exports).filter(
      (key) => exports[key]!.endsWith('.ts') && !key.includes('*'),
    );
    const entrypoints = [...published, `./internal/${modules.sort().at(-1)!}`];
    const found = await checkPackage(tarball, { entrypoints });
    if (!found.types) throw new Error(`@kasane/${name} has no types`);
    // These are ES modules, which CommonJS reaches by import() or by require() of Node 22, and TypeScript's old resolution, which
    // knows no `exports`, not at all.
    const known = ['CJSResolvesToESM', 'NoResolution'];
    const problems = found.problems.filter(
      (problem) =>
        !(
          known.includes(problem.kind) &&
          'resolutionKind' in problem &&
          problem.resolutionKind !== 'node16-esm' &&
          problem.resolutionKind !== 'bundler'
        ),
    );
    expect(problems).toEqual([]);
  });
});

describe('all of them in an empty folder', needing(['tar']), () => {
  const kasane = join(stranger, 'node_modules/.bin/kasane');
  /** Nothing of this checkout, and of what is set for it. */
  const env = () => ({
    PATH: [join(process.execPath, '..'), process.env.PATH].join(':'),
    HOME: join(folder, 'home'),
    // Where Redis is, if Kasane has fetched it.
    XDG_CACHE_HOME: dirname(dirname(cacheDirectory() ?? '/nowhere/kasane/redis')),
    ...(process.env.REDIS_URL && { REDIS_URL: process.env.REDIS_URL }),
  });

  beforeAll(async () => {
    mkdirSync(stranger);
    const registry = await startRegistry();
    const options = ['--no-audit', '--no-fund', '--registry', registry.url, '--cache', join(folder, 'cache')];
    writeFileSync(join(stranger, 'package.json'), '{"private":true,"type":"module"}');
    try {
      await run('npm', ['install', ...options, ...tarballs.values()], { cwd: stranger });
    } finally {
      await registry.close();
    }
  }, PATIENCE_MS);

  it('train MNIST', async () => {
    const train = ['train', 'mnist-mlp', '--epochs', '1', '--json'];
    const { stdout } = await run(kasane, train, { cwd: stranger, env: env() });
    const result = JSON.parse(stdout);
    expect(result.testAccuracy).toBeGreaterThan(0.9);
  });

  it('train a model that a program defines', async () => {
    const [file, folder] = [join(stranger, 'vae.ts'), join(stranger, 'digits')];
    mkdirSync(folder);
    const data = smallMnist(folder, 1_200, 100);
    cpSync(join(checkout, 'examples/own-model/vae.ts'), file);
    const train = ['train', file, '--epochs', '10', '--data', data, '--json'];
    const digests: string[] = [];
    for (const workers of ['1', '2']) {
      const { stdout } = await run(kasane, [...train, '--workers', workers], { cwd: stranger, env: env() });
      const { metric, testMetric, digest } = JSON.parse(stdout);
      expect(metric).toBe('error');
      // Less than what the mean image is off by.
      expect(testMetric).toBeLessThan(0.0675);
      digests.push(digest);
    }
    expect(digests[1]).toBe(digests[0]);
  });

  it('serve the page as it was bundled', async () => {
    const program = `
      import { startDashboard } from '@kasane/dashboard/server';
      const { url, close } = await startDashboard({ coordinator: '127.0.0.1:1', port: 0 });
      const page = await (await fetch(url)).text();
      const paths = [...page.matchAll(/(?:src|href)="([/][^"]+)"/g)].map(([, path]) => path);
      for (const path of paths) console.log((await fetch(url + path)).status, path);
      await close();
    `;
    writeFileSync(join(stranger, 'page.mjs'), program);
    const { stdout } = await run(process.execPath, ['page.mjs'], { cwd: stranger, env: env() });
    // What only some visitors need shares scripts with the rest, which are named by their content.
    const served = stdout
      .trim()
      .replace(/chunk-\w+/g, 'chunk')
      .split('\n');
    expect([...new Set(served)].sort()).toEqual(['200 /app.js', '200 /chunk.js', '200 /style.css']);
  });

  it('say that Node is too old', async () => {
    const old = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } })`;
    const spawned = run(process.execPath, ['--import', `data:text/javascript,${old}`, kasane, '--version']);
    await expect(spawned).rejects.toMatchObject({
      code: 69,
      stderr: 'kasane: Node 20.20.2 is too old: install Node 22.18 or later (https://nodejs.org)\n',
    });
  });

  it("have types that a strict program's compiler takes, and READMEs whose examples it compiles", async () => {
    const examples = packages
      .filter((name) => name !== 'tensor') // test/guide.test.ts runs its guide
      .map((name) => [name, readFileSync(join(stranger, `node_modules/@kasane/${name}/README.md`), 'utf8')])
      .flatMap(([name, text]) => [...text!.matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => [name, code!]));
    expect(examples.length).toBeGreaterThan(4);
    for (const [name, code] of examples) writeFileSync(join(stranger, `${name}.ts`), code!);
    const tsc = join(checkout, 'node_modules/typescript/bin/tsc');
    const types = join(checkout, 'node_modules/@types');
    const options = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--target', 'es2024'];
    const files = examples.map(([name]) => `${name}.ts`);
    const checked = run(
      process.execPath,
      [tsc, ...options, '--types', 'node', '--typeRoots', types, ...files],
      {
        cwd: stranger,
      },
    );
    await expect(checked).resolves.toMatchObject({ stdout: '' });
  });
});

describe('the image', needing(['docker', 'compose', 'tar', 'ldd']), () => {
  const image = 'kasane-test:shipped';
  const base = 'kasane-test:base';
  const inspect = async (what: string, format: string) =>
    (await run('docker', ['inspect', '--format', format, what])).stdout.trim();

  beforeAll(async () => {
    await makeBaseImage(base, temporaryDirectory(cleanUp));
    const context = temporaryDirectory(cleanUp);
    for (const path of tarballs.values()) cpSync(path, join(context, basename(path)));
    cpSync(join(checkout, 'Dockerfile'), join(context, 'Dockerfile'));
    const registry = await startRegistry();
    const values = [`NODE_IMAGE=${base}`, `NPM_FLAGS=--registry=${registry.url}`];
    const args = values.flatMap((value) => ['--build-arg', value]);
    try {
      await run('docker', ['build', '--network', 'host', ...args, '--tag', image, context]);
    } finally {
      await registry.close();
    }
  }, PATIENCE_MS);

  it('is not root, and says whether it is well', async () => {
    expect(await inspect(image, '{{.Config.User}}')).toBe('1000:1000');
    expect(await inspect(image, '{{json .Config.Healthcheck.Test}}')).toContain('/health');
    // MNIST is a third of it.
    const [own, below] = await Promise.all([image, base].map((one) => inspect(one, '{{.Size}}')));
    expect(Number(own) - Number(below)).toBeLessThan(150e6);
  });

  it(
    'serves a cluster with Compose: page, coordinator and two workers that train',
    async () => {
      const [command, ...args] = composeCommand()!;
      const [port, pagePort] = [await freePort(), await freePort()];
      const project = `kasane-test-${process.pid}`;
      const data = temporaryDirectory(cleanUp);
      // Read by the image's own user.
      chmodSync(data, 0o755);
      smallMnist(data, 2000, 500);
      const env: NodeJS.ProcessEnv = {
        ...process.env,
        KASANE_IMAGE: image,
        REDIS_IMAGE: base,
        KASANE_DATA: data,
        KASANE_PORT: String(port),
        KASANE_DASHBOARD_PORT: String(pagePort),
        KASANE_COORDINATOR: `127.0.0.1:${port}`,
      };
      const compose = (...more: string[]) =>
        run(command, [...args, '-p', project, '-f', join(checkout, 'compose.yaml'), ...more], { env });
      cleanUp.add(() => compose('down', '--volumes', '--timeout', '5'));
      // As compose.yaml has it: tokens first, each for what its holder does.
      const token = async (...more: string[]) => {
        const create = ['coordinator', 'token', 'create', ...more, '--state', '/state'];
        return (await compose('run', '--rm', '--no-deps', '-T', ...create)).stdout.trim();
      };
      env.KASANE_WORK_TOKEN = await token('workers', '--scope', 'work');
      env.KASANE_PAGE_TOKEN = await token('page', '--scope', 'submit');
      env.KASANE_TOKEN = await token('me', '--scope', 'submit');
      await compose('up', '--detach', '--scale', 'worker=2');
      const kasane = async (...more: string[]) => {
        return (await run(process.execPath, [main, ...more], { env })).stdout;
      };
      await expect.poll(async () => JSON.parse(await kasane('workers', '--json')).length, WAIT).toBe(2);
      const { stdout } = await compose('ps', '-q', 'coordinator', 'worker', 'dashboard');
      for (const container of stdout.trim().split('\n'))
        await expect.poll(() => inspect(container, '{{.State.Health.Status}}'), WAIT).toBe('healthy');
      expect(await (await fetch(`http://127.0.0.1:${pagePort}/`)).text()).toContain('<title>Kasane');

      const job = join(folder, 'job.json');
      const mlp = jobPresets['mnist-mlp']!;
      const submit = async (path: string) => {
        const training = { ...mlp.training, epochs: 4 };
        writeFileSync(job, JSON.stringify({ ...mlp, data: { format: 'idx', path }, training }));
        await kasane('submit', job, '--watch');
      };
      await submit(data);
      const [done] = JSON.parse(await kasane('jobs', '--json'));
      expect(done).toMatchObject({ state: 'succeeded', workers: 2 });
      await expect(submit('/etc')).rejects.toThrow(/data-root|may not|not allowed/);
    },
    PATIENCE_MS,
  );
});
