/**
 * The whole of what `npm start` does after its set-up, from the start of the process to its end: `kasane train mnist-mlp` against the same
 * recipe in PyTorch (bench/peers/mnist.py), in turns, imports and start-up included.
 *
 *     pnpm bench mnist [--rounds 5] [--python PATH]
 *
 * Wall time, and CPU time of all processes. Expected before it was first measured: 1.5 times the wall time of PyTorch with two threads,
 * as it was for version 0.1 on another machine (10.7 s against 6.9).
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { mnistDirectory } from '@kasane/data/internal/idx/mnist';
import { median } from './support/median.ts';
import { defaultPython } from './support/python.ts';
import { machine, openTable, writeResults } from './support/results.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    python: { type: 'string', default: defaultPython },
  },
});
const rounds = Number(values.rounds);
const kasane = fileURLToPath(new URL('../packages/cli/src/bin.js', import.meta.url));
const script = fileURLToPath(new URL('peers/mnist.py', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'kasane-bench-'));

interface Run {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly output: string;
}

/** Seconds of what `times` of POSIX shells prints: 1m2.34s. */
function secondsOf(minutesAndSeconds: string): number {
  const [, minutes, seconds] = /^(\d+)m([\d.]+)s$/.exec(minutesAndSeconds) ?? [];
  return Number(minutes) * 60 + Number(seconds);
}

/** Runs it to its end. Undefined: it is not there, or failed. */
async function whole(command: readonly string[]): Promise<Run | undefined> {
  const { OPENBLAS_CORETYPE: _, OPENBLAS_L2_SIZE: __, ...env } = process.env;
  const began = performance.now();
  // A shell counts what all processes have used that ended below it.
  const child = spawn('/bin/sh', ['-c', '"$@" || exit; times', 'sh', ...command], {
    env,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  const seconds = (performance.now() - began) / 1000;
  if (code !== 0) return undefined;
  const lines = output.trimEnd().split('\n');
  const cpuSeconds = lines
    .at(-1)!
    .split(' ')
    .map(secondsOf)
    .reduce((a, b) => a + b);
  return { seconds, cpuSeconds, output: lines.slice(0, -2).join('\n') };
}

/** PyTorch says its version and the accuracy; we one JSON object. */
const accuracyOf = ({ output }: Run): number =>
  output.startsWith('{')
    ? (JSON.parse(output) as { testAccuracy: number }).testAccuracy
    : Number(output.split(' ')[1]);

const ours = (...options: string[]) => [
  ...[process.execPath, kasane, 'train', 'mnist-mlp', '--json'],
  ...['--out', join(directory, 'model.safetensors'), ...options],
];
const folder = mnistDirectory();
const contenders = {
  'kasane train': ours(),
  'kasane train --slots 1': ours('--slots', '1'),
  'kasane train --workers 2': ours('--workers', '2'),
  'PyTorch, 2 threads': [values.python, script, folder, '2'],
  'PyTorch, 1 thread': [values.python, script, folder, '1'],
};

try {
  const runs = Object.fromEntries(Object.keys(contenders).map((name) => [name, [] as Run[]]));
  // The first run of each fills caches.
  for (let round = 0; round <= rounds; round++)
    for (const [name, command] of Object.entries(contenders)) {
      const run = await whole(command);
      if (round > 0 && run) runs[name]!.push(run);
    }
  const peer = runs['PyTorch, 2 threads']!;
  const single = runs['PyTorch, 1 thread']!;
  const version = peer[0]?.output.split(' ')[0] ?? '';
  console.log(`${machine()}${version && `, PyTorch ${version}`}; medians of ${rounds}`);
  const row = openTable([
    '',
    'wall, s',
    'to PyTorch, 2 threads',
    'CPU, s',
    'to PyTorch, 1 thread',
    'accuracy',
  ]);
  const figures = Object.entries(runs).map(([name, list]) => ({
    name,
    seconds: median(list.map(({ seconds }) => seconds)),
    cpuSeconds: median(list.map(({ cpuSeconds }) => cpuSeconds)),
    accuracy: median(list.map(accuracyOf)),
  }));
  const to = (own: number, other: number) => (Number.isNaN(other) ? '' : (own / other).toFixed(2));
  for (const { name, seconds, cpuSeconds, accuracy } of figures) {
    if (Number.isNaN(seconds)) console.log(`left out: ${name}`);
    else
      row([
        name,
        seconds.toFixed(2),
        to(seconds, median(peer.map((run) => run.seconds))),
        cpuSeconds.toFixed(2),
        to(cpuSeconds, median(single.map((run) => run.cpuSeconds))),
        accuracy.toFixed(4),
      ]);
  }
  writeResults('mnist', machine(), [{ name: 'PyTorch', version }], figures);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
