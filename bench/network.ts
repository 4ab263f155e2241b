/**
 * What the exchange costs on ordinary networks: N hosts as network namespaces of this machine, each with a link that is shaped both ways, a
 * worker with one slot on each, and coordinator and Redis on one more. Beside it, on the same hosts, PyTorch's all-reduce over gloo of
 * as many floats as the model has parameters.
 *
 *     pnpm bench network [--row resnet18] [--compute-ms 800] [--rate 1gbit] [--hosts 1 --hosts 2 --hosts 4 --hosts 8]
 *                        [--steps 10] [--warm-up 3] [--real] [--python PATH] [--no-peer]
 *                        [--shards 1] [--every 1] [--optimizer-state average] [--precision f32]
 *
 * Needs root, and ip and tc (iproute2). A shard is half a row's batch, and there are --shards of them for each host. Workers wait for
 * --compute-ms in place of computing, a third of it before all parameters have to be there, and their gradients become final layer after
 * layer; all else is the code of real ones. So two cores carry nine hosts. --real: they compute, which shows something only where each has
 * a core.
 *
 * --every: local steps, of which a round takes the place of a step, also in the table; --steps and --warm-up count rounds then.
 * --precision: how gradients and parameters travel, f32, bf16 or int8.
 *
 * Prints a Markdown table, and writes everything to bench/results/network.json. `beside` is what of a step was not computation. Bytes are of
 * one step, sent and received, by the links' own counters: tensors, samples, tasks and everything else. The ratio is that of our step
 * to the computation plus the peer's all-reduce, one after the other; where hosts compute really, their computation counts.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { counted } from '@kasane/tensor/internal/counted';
import { buildModel } from '@kasane/tensor/nn/model';
import { rows } from './rows.ts';
import { DEVICE, Hosts, removeHosts, whyNoHosts } from './support/hosts.ts';
import { median } from './support/median.ts';
import type { NetworkAnswer, NetworkRequest } from './support/network-cluster.ts';
import { defaultPython } from './support/python.ts';
import { machine, openTable, writeResults } from './support/results.ts';

const { values } = parseArgs({
  options: {
    row: { type: 'string', default: 'resnet18' },
    'compute-ms': { type: 'string', default: '800' },
    rate: { type: 'string', default: '1gbit' },
    hosts: { type: 'string', multiple: true, default: ['1', '2', '4', '8'] },
    steps: { type: 'string', default: '10' },
    'warm-up': { type: 'string', default: '3' },
    real: { type: 'boolean', default: false },
    python: { type: 'string', default: defaultPython },
    'no-peer': { type: 'boolean', default: false },
    shards: { type: 'string', default: '1' },
    every: { type: 'string', default: '1' },
    'optimizer-state': { type: 'string', default: 'average' },
    precision: { type: 'string', default: 'f32' },
  },
});
const steps = Number(values.steps);
const computeMs = values.real ? undefined : Number(values['compute-ms']);
const [shards, every] = [Number(values.shards), Number(values.every)];

/** What a cluster on these hosts has measured. */
async function measured(hosts: Hosts): Promise<NetworkAnswer> {
  const request: NetworkRequest = {
    ...{ name: hosts.name, hosts: hosts.count, row: values.row, shards, steps, computeMs },
    warmUp: Number(values['warm-up']),
    exchange: { every, optimizerState: values['optimizer-state'], precision: values.precision },
  };
  const script = join(import.meta.dirname, 'support/network-cluster.ts');
  const child = hosts.spawn(0, process.execPath, [script, JSON.stringify(request)], {
    env: { ...process.env, TMPDIR: directory },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the cluster ended with ${code}`);
  });
  ended.catch(() => {});
  const [answer] = (await Promise.race([once(child, 'message'), ended])) as [NetworkAnswer];
  return answer;
}

interface AllReduce {
  readonly version: string;
  /** Milliseconds of each. */
  readonly times: readonly number[];
}

/** The peer's on the workers' hosts; undefined where there is no PyTorch. */
async function allReduce(hosts: Hosts, floats: number): Promise<AllReduce | undefined> {
  const script = join(import.meta.dirname, 'peers/gloo.py');
  const first = 1;
  const count = hosts.count - first;
  const children: ChildProcess[] = Array.from({ length: count }, (_, rank) =>
    hosts.spawn(
      first + rank,
      values.python,
      [script, ...[rank, count, floats, steps].map(String), hosts.address(first)],
      {
        env: {
          ...process.env,
          ...{
            GLOO_SOCKET_IFNAME: DEVICE,
            OMP_NUM_THREADS: '1',
            PYTHONDONTWRITEBYTECODE: '1',
            USE_LIBUV: '0',
          },
        },
        stdio: ['ignore', rank === 0 ? 'pipe' : 'ignore', 'ignore'],
      },
    ),
  );
  const ends = children.map((child) => once(child, 'exit').catch(() => []));
  let text = '';
  for await (const piece of children[0]!.stdout!) text += piece;
  await Promise.all(ends);
  return text === '' ? undefined : (JSON.parse(text) as AllReduce);
}

const why = whyNoHosts();
if (why !== undefined) {
  console.error(`bench network does not run: ${why}`);
  process.exit(69);
}
// Its data and the coordinator's state. What is on the hosts goes with them when this process ends.
const directory = mkdtempSync(join(tmpdir(), 'kasane-bench-'));
process.on('exit', () => {
  removeHosts();
  rmSync(directory, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));

const row = rows.find(({ name }) => name === values.row);
if (!row) throw new Error(`--row: '${values.row}'; there are ${rows.map(({ name }) => name).join(', ')}`);
const floats = buildModel(row.description).parameterCount;
const shape =
  computeMs === undefined ? 'computed' : `${computeMs} ms a shard, ${counted(shards, 'shard')} a host`;
const local = every > 1 ? `, rounds of ${every} local steps (${values['optimizer-state']})` : '';
const on = `${machine()}; ${values.row}, ${floats} parameters, ${shape}, ${values.rate}${local}`;
console.log(on);
const line = openTable([
  ...[
    'hosts',
    every > 1 ? 'round, ms' : 'step, ms',
    'beside',
    'computing',
    'coordinator, MB out',
    'in',
    'worker, MB out',
    'in',
  ],
  ...(values['no-peer'] ? [] : ['gloo, ms', 'computation + gloo', 'ratio']),
]);
const results = [];
let version = '';
for (const count of values.hosts.map(Number)) {
  const hosts = Hosts.open(count + 1, values.rate);
  try {
    const ours = await measured(hosts);
    const stepMs = median(ours.times.map((time) => time.stepMs));
    const ownMs =
      computeMs !== undefined ? computeMs * shards * every : median(ours.times.map((time) => time.computeMs));
    const [coordinator, ...workers] = ours.traffic;
    const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);
    const mean = (of: 'sent' | 'received') =>
      megabytes(workers.reduce((sum, worker) => sum + worker[of], 0) / workers.length);
    const theirs = !values['no-peer'] && count > 1 ? await allReduce(hosts, floats) : undefined;
    if (theirs) version = theirs.version;
    const gloo = theirs && median(theirs.times);
    line([
      ...[count, stepMs.toFixed(0), (stepMs - ownMs).toFixed(0), `${((100 * ownMs) / stepMs).toFixed(0)} %`],
      ...[megabytes(coordinator!.sent), megabytes(coordinator!.received), mean('sent'), mean('received')],
      ...(values['no-peer']
        ? []
        : gloo === undefined
          ? ['', '', '']
          : [gloo.toFixed(0), (ownMs + gloo).toFixed(0), (stepMs / (ownMs + gloo)).toFixed(2)]),
    ]);
    results.push({ hosts: count, rate: values.rate, row: values.row, ours, peers: { PyTorch: theirs } });
  } finally {
    removeHosts();
  }
}
if (!values['no-peer'] && version === '' && values.hosts.some((count) => Number(count) > 1))
  console.log(`left out: PyTorch's all-reduce, since ${values.python} has no torch with gloo`);
writeResults('network', on, version === '' ? [] : [{ name: 'PyTorch', version }], results);
process.exit(0);
