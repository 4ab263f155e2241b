/** The tensor package in a real browser: headless Chromium, WebGPU on SwiftShader where there is no GPU. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { build, type Rolldown } from 'vite';
import { expect, it } from 'vitest';
import { opCases } from '../packages/tensor/test/support/cases.ts';
import type { Report } from './browser/conformance.ts';
import { browserFlags, browserPath } from './support/browser.ts';
import { needing } from './support/needs.ts';

/** The suite as one script. */
async function bundle(): Promise<string> {
  const entry = fileURLToPath(new URL('browser/conformance.ts', import.meta.url));
  const result = (await build({
    configFile: false,
    logLevel: 'error',
    build: {
      write: false,
      target: 'es2024',
      minify: false,
      lib: { entry, formats: ['es'], fileName: 'conformance' },
    },
  })) as Rolldown.RolldownOutput[];
  const chunk = result[0]!.output.find((output) => output.type === 'chunk');
  return chunk!.code;
}

it('every operation and layer computes in Chromium what it computes elsewhere', {
  ...needing(['chromium']),
  timeout: 600_000,
}, async () => {
  const script = await bundle();
  const fixtures = readFileSync(new URL('../packages/tensor/test/pytorch/fixtures.json', import.meta.url));
  const files: Record<string, [type: string, body: string | Buffer]> = {
    '/': ['text/html', '<!doctype html><script type="module" src="/conformance.js"></script>'],
    '/conformance.js': ['text/javascript', script],
    '/fixtures.json': ['application/json', fixtures],
  };
  const server = createServer((request, response) => {
    const file = files[request.url ?? ''];
    response.writeHead(file ? 200 : 404, { 'content-type': file?.[0] ?? 'text/plain' }).end(file?.[1]);
  }).listen(0, '127.0.0.1');
  const browser = await chromium.launch({ executablePath: browserPath!, args: browserFlags });
  try {
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(error.message));
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    await page.waitForFunction(() => 'report' in window);
    const report = (await page.evaluate(() => (window as { report?: unknown }).report)) as Report;
    expect(errors).toEqual([]);
    expect(report.problems).toEqual([]);
    expect(report.wasm).toBeGreaterThan(opCases().length);
    expect(report.webgpu).toBe(report.wasm);
  } finally {
    await browser.close();
    server.close();
  }
});
