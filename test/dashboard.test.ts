/** The dashboard's server over a real cluster: what it serves, and what others are kept from. test/dashboard-page.test.ts has the page. */
import { once } from 'node:events';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { type Dashboard, startDashboard } from '@kasane/dashboard/server';
import { startMetricsServer } from '@kasane/protocol/internal/ports/metrics-server';
import { PAGE_CONNECTIONS } from '@kasane/protocol/limits';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { CleanUp, TestCluster } from './support/cluster.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
let dashboard: Dashboard;

beforeAll(async () => {
  await cluster.start();
  dashboard = await startDashboard({ coordinator: cluster.address, port: 0 });
  cleanUp.add(() => dashboard.close());
});
afterAll(() => cleanUp.run());

/** Names that others have point here (DNS rebinding), and what is no name. */
const strangers = [
  'evil.example',
  'localhost.evil.example',
  '127.0.0.1.nip.io',
  'evil@127.0.0.1',
  '10.0.0.5:80',
];

/** Status of a request as another program would make it. */
function ask(
  path: string,
  options: { method?: string; headers?: Record<string, string> },
  base = dashboard.url,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(base);
    const call = request({ hostname, port, path, ...options }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    call.on('error', reject).end();
  });
}

it('serves only its own files, to those who ask for it by a loopback name', async () => {
  expect(await ask('/', {})).toBe(200);
  expect(await ask('/app.js', {})).toBe(200);
  expect(await ask('/style.css', {})).toBe(200);
  const others = [
    '/nothing',
    '/../server.ts',
    '/%2e%2e/server.ts',
    '/../package.json',
    '/..%2fpackage.json',
    '///etc/passwd',
    '/toString',
  ];
  for (const path of others) expect(await ask(path, {}), path).toBe(404);
  for (const host of strangers) expect(await ask('/', { headers: { host } }), host).toBe(421);
  expect(await ask('//', {})).toBe(400);
});

it('serves metrics on loopback only to those who ask by a loopback name', async () => {
  const told = { metrics: async () => 'kasane_steps_total 1\n', health: () => undefined };
  const metrics = await startMetricsServer({ port: 0 }, told);
  cleanUp.add(() => metrics.close());
  const { port } = new URL(metrics.url);
  for (const path of ['/metrics', '/health']) {
    for (const host of strangers) expect(await ask(path, { headers: { host } }, metrics.url), host).toBe(421);
    for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, '[::1]', 'LOCALHOST'])
      expect(await ask(path, { headers: { host } }, metrics.url), host).toBe(200);
  }
});

it('closes the oldest idle connections beyond a limit, and answers whoever asks', async () => {
  const metrics = await startMetricsServer(
    { port: 0 },
    { metrics: async () => 'up 1\n', health: () => undefined },
  );
  cleanUp.add(() => metrics.close());
  for (const [base, path] of [
    [dashboard.url, '/events'],
    [metrics.url, '/metrics'],
  ] as const) {
    const port = Number(new URL(base).port);
    const stream = new AbortController();
    const watched = await fetch(`${base}${path}`, { signal: stream.signal });
    const open = new Set<Socket>();
    for (let i = 0; i < 3 * PAGE_CONNECTIONS; i++) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => {}).on('close', () => open.delete(socket));
      await once(socket, 'connect');
      open.add(socket);
    }
    await vi.waitFor(() => expect(open.size).toBeLessThanOrEqual(PAGE_CONNECTIONS));
    expect(await ask(path === '/events' ? '/' : path, {}, base)).toBe(200);
    // A stream of events is no idle connection.
    const reader = watched.body!.getReader();
    expect((await reader.read()).done).toBe(false);
    stream.abort();
    for (const socket of open) socket.destroy();
  }
});

it('is told once that the streams of a job that does not exist have ended', async () => {
  const { client } = cluster;
  const ended: string[] = [];
  client.watchMetrics(
    'nobody-1',
    () => {},
    () => ended.push('metrics'),
  );
  client.listenToEvents(
    'nobody-1',
    () => {},
    () => ended.push('events'),
  );
  await expect.poll(() => ended.length).toBe(2);
  // A second call would come in the same turn.
  await client.status().finally(() => client.close());
  expect(ended.sort()).toEqual(['events', 'metrics']);
});

it("takes no orders from another site's page", async () => {
  for (const path of ['/jobs', '/jobs/x/cancel', '/jobs/x/pause']) {
    expect(await ask(path, { method: 'POST' }), path).toBe(403);
  }
});

it("answers with the coordinator's own errors", async () => {
  const headers = { 'x-kasane': 'dashboard' };
  expect(await ask('/jobs/x/cancel', { method: 'POST', headers })).toBe(404);
  expect(await ask('/jobs/x/checkpoints', {})).toBe(404);
  expect(await ask('/jobs/x/constructor', {})).toBe(404);
  const response = await fetch(`${dashboard.url}/jobs`, { method: 'POST', headers, body: 'name: 5' });
  expect(response.status).toBe(400);
  expect(await response.text()).toMatch(/name/);
});

it('does not listen where others reach it', async () => {
  await expect(startDashboard({ coordinator: cluster.address, host: '0.0.0.0', port: 0 })).rejects.toThrow(
    /SSH tunnel/,
  );
});

/** Numbers and names as nobody should send them. */
const odd = [
  ...['-1', '1.5', 'x', '', ' ', 'NaN', 'Infinity', '1e99', '0x10', '4294967296', '9'.repeat(400)],
  ...['null', '[1]', '%00', '%0a', '..', '.', '<b>', '%F0%9F%98%80', "1';--", '%'],
];

it('answers odd parameters of every route with what is wrong, and a HEAD as a GET', async () => {
  const headers = { 'x-kasane': 'dashboard' };
  const job = 'no-such-job';
  const refused = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(`${dashboard.url}${path}`, init);
    const body = await response.text();
    expect(response.status, `${path}: ${body}`).toBe(400);
    expect(body).not.toMatch(/INTERNAL|serializ|undefined|\n./);
    return body;
  };
  const wrong = odd.filter((value) => !['%', ' ', ''].includes(value));
  for (const value of wrong) {
    expect(await refused(`/jobs/${job}/samples?first=${value}`)).toMatch(
      /^first: expected a whole number from 0 to/,
    );
    expect(await refused(`/jobs/${job}/samples?count=${value}`)).toMatch(
      /^count: expected a whole number from 1 to/,
    );
    expect(await refused(`/jobs/${job}/model?checkpoint=${value}`)).toMatch(
      /^checkpoint: expected a whole number/,
    );
    expect(await refused(`/events?part=${value}`)).toMatch(/^part: expected one of curves/);
    const body = decodeURIComponent(value);
    const posted = { method: 'POST', headers, body };
    expect(await refused(`/jobs/${job}/resume`, posted)).toMatch(/^epochs: expected a whole number/);
    if (body !== '-1')
      expect(await refused(`/jobs/${job}/priority`, posted)).toMatch(/^priority: expected a whole/);
  }
  // Whatever is asked for: an answer, and never that the server failed.
  const routes = [
    'checkpoints',
    'spec',
    'metrics',
    'samples',
    'model',
    'cancel',
    'delete',
    'pause',
    'retry',
    'nothing',
  ];
  for (const value of odd)
    for (const route of routes)
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS']) {
        const path = `/jobs/${value.replaceAll(' ', '%20')}/${route}?first=${value.replaceAll(' ', '+')}`;
        const status = await ask(path, { method, headers });
        expect(status >= 400 && status < 500, `${method} ${path}: ${status}`).toBe(true);
      }
  for (const path of ['/', '/app.js', '/events', '/nothing', `/jobs/${job}/checkpoints`]) {
    const head = await fetch(`${dashboard.url}${path}`, { method: 'HEAD' });
    expect(await head.text()).toBe('');
    const stop = new AbortController();
    const get = await fetch(`${dashboard.url}${path}`, { signal: stop.signal });
    expect([head.status, head.headers.get('content-type')], path).toEqual([
      get.status,
      get.headers.get('content-type'),
    ]);
    stop.abort();
  }
});
