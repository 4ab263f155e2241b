/**
 * The guide of @kasane/tensor, as a stranger follows it: the packed package is installed in an empty folder, every example of its
 * README runs there with plain Node, or in a browser, and prints what the README says.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { browserFlags, browserPath } from './support/browser.ts';
import { CleanUp, temporaryDirectory } from './support/cluster.ts';
import { needing } from './support/needs.ts';

const tensor = fileURLToPath(new URL('../packages/tensor', import.meta.url));
const readme = readFileSync(join(tensor, 'README.md'), 'utf8');
/** Each example with the output that follows it. */
const examples = [...readme.matchAll(/```(js|html)\n(.*?)```\n\n```text\n(.*?)```/gs)].map(
  ([, language, code, output]) => ({ language, code: code!, output: output!.trim() }),
);
const cleanUp = new CleanUp();
const folder = temporaryDirectory(cleanUp);
afterAll(() => cleanUp.run());

beforeAll(() => {
  // What `pnpm pack` would put into the package, installed by npm.
  const run = (command: string, args: readonly string[], cwd: string) =>
    execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  const { config } = JSON.parse(readFileSync(join(tensor, '../../package.json'), 'utf8')) as {
    config: { pnpm: string };
  };
  run('npx', ['-y', `pnpm@${config.pnpm}`, 'pack', '--pack-destination', folder], tensor);
  const [tarball] = readdirSync(folder).filter((file) => file.endsWith('.tgz'));
  writeFileSync(join(folder, 'package.json'), '{"name":"stranger","private":true,"type":"module"}');
  run('npm', ['install', '--no-audit', '--no-fund', '--offline', `./${tarball}`], folder);
});

/** A page that runs an example as it stands: names of modules are mapped to files, and what it prints is gathered and shown. */
function pageOf(code: string): string {
  const modules = [...code.matchAll(/from '(@kasane\/tensor)\/(.*)'/g)].map(([, name, path]) => [
    `${name}/${path}`,
    `./node_modules/${name}/dist/${path}.js`,
  ]);
  const print = 'const lines = []; const console = { log: (line) => lines.push(line) };';
  const show = "document.querySelector('#result').textContent = lines.join('\\n');";
  return `<!doctype html><meta charset="utf-8"><p id="result">...</p>
<script type="importmap">${JSON.stringify({ imports: Object.fromEntries(modules) })}</script>
<script type="module">${print}\n${code}\n${show}</script>`;
}

describe("the guide's examples", () => {
  it('are all there', () => {
    expect(examples.map(({ language }) => language)).toEqual(['js', 'js', 'js', 'js', 'html']);
  });

  it('need nothing but the package', () => {
    expect(readdirSync(join(folder, 'node_modules')).filter((name) => !name.startsWith('.'))).toEqual([
      '@kasane',
    ]);
  });

  it.each(examples.filter(({ language }) => language === 'js').map(({ code, output }) => [output, code]))(
    'prints %j in Node',
    (output, code) => {
      const file = join(folder, 'example.js');
      writeFileSync(file, code);
      const printed = execFileSync(process.execPath, [file], { cwd: folder, encoding: 'utf8' });
      expect(printed.trim()).toBe(output);
    },
  );

  it('show the same in a browser', needing(['chromium']), async () => {
    const types: Record<string, string> = { '.js': 'text/javascript', '.html': 'text/html' };
    for (const [index, { language, code }] of examples.entries())
      writeFileSync(join(folder, `${index}.html`), language === 'html' ? code : pageOf(code));
    const server = createServer((request, response) => {
      const file = join(folder, new URL(request.url!, 'http://x').pathname);
      if (!existsSync(file) || !types[extname(file)]) response.writeHead(404).end();
      else response.writeHead(200, { 'content-type': types[extname(file)] }).end(readFileSync(file));
    }).listen(0, '127.0.0.1');
    const browser = await chromium.launch({ executablePath: browserPath!, args: browserFlags });
    try {
      for (const [index, { output }] of examples.entries()) {
        const page = await browser.newPage();
        await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/${index}.html`);
        await page.waitForFunction(() => document.querySelector('#result')?.textContent !== '...');
        expect((await page.textContent('#result'))!.trim()).toBe(output);
        await page.close();
      }
    } finally {
      await browser.close();
      server.close();
    }
  });
});
