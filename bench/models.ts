/**
 * Training steps of six models on one thread: forwards, backwards and Adam, against PyTorch where it is found, and the MLP against
 * TensorFlow.js and jax-js, which lack what the others need. Rounds of all take turns in one run. A figure is the CPU time of a
 * step (the median over the rounds), and in brackets the wall time of the shortest step. On an idle machine the two agree. Where
 * others work too, wall times are the scheduler's: a step longer than its slice of some milliseconds always contains others' work.
 * The ratio is that of the CPU times.
 *
 *     pnpm bench models [--row mlp] [--seconds 6] [--rounds 5] [--python /usr/bin/python3] [--no-peer]
 *
 * A step of ours is what a worker and the parameter server do in one process, without what lies between them: gradients, one
 * copy of them into a slot, their scaling, Adam, and one copy of the parameters back. The update's part is printed apart.
 *
 * Prints a Markdown table, and writes everything to bench/results/models.json.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { selectKernel } from '@kasane/tensor/backends/wasm/kernels';
import { compileProgram } from '@kasane/tensor/backends/wasm/program';
import { openUpdater } from '@kasane/tensor/backends/wasm/updater';
import { initializeParameters } from '@kasane/tensor/nn/model';
import { enableRevectorization } from '@kasane/tensor/node/v8-flags';
import { fillBatch, type Row, rows, trainingGraph } from './rows.ts';
import { median } from './support/median.ts';

const { values } = parseArgs({
  options: {
    row: { type: 'string' },
    seconds: { type: 'string', default: '6' },
    rounds: { type: 'string', default: '5' },
    python: { type: 'string', default: '/usr/bin/python3' },
    'no-peer': { type: 'boolean', default: false },
  },
});
/** Rounds in which ours and theirs take turns. */
const ROUNDS = Number(values.rounds);

interface Figure {
  /** CPU time of a step. */
  readonly cpu: number;
  /** Wall time of the shortest step. */
  readonly best: number;
}

interface Stepper {
  /** One training step: milliseconds of the gradients and of all. */
  step(): { gradients: number; total: number };
  loss(): number;
}

async function openRow(row: Row): Promise<Stepper> {
  const { model, outputs } = trainingGraph(row);
  const program = await compileProgram(outputs);
  const updater = await openUpdater(model.parameters, { type: 'adam' }, { buffers: 1 });
  updater.parameters.set(initializeParameters(model, 1));
  const { x, labels } = program.inputs;
  fillBatch(row, x as Float32Array, labels as Int32Array);
  // Running statistics are parameters that a training step does not read.
  const weights = model.parameters.flatMap(({ name, offset, size }) => {
    const to = program.inputs[name] as Float32Array | undefined;
    return to ? [{ to, from: updater.parameters.subarray(offset, offset + size) }] : [];
  });
  const slots = model.parameters.map(({ offset, size }, index) => ({
    to: updater.slots[0]!.subarray(offset, offset + size),
    from: program.outputs[index + 1]!,
  }));
  for (const { to, from } of weights) to.set(from);
  let count = 0;
  return {
    step: () => {
      const start = performance.now();
      program.run();
      const gradients = performance.now() - start;
      for (const { to, from } of slots) to.set(from);
      updater.reduce([0], 1 / labels!.length);
      updater.apply(count++, 0.001);
      for (const { to, from } of weights) to.set(from);
      return { gradients, total: performance.now() - start };
    },
    loss: () => program.outputs[0]![0]! / labels!.length,
  };
}

/** What each peer is started with. */
const commands = {
  PyTorch: [values.python, join(import.meta.dirname, 'peers/models.py')],
  'TensorFlow.js': [process.execPath, join(import.meta.dirname, 'peers/tfjs.ts')],
  'jax-js': [process.execPath, join(import.meta.dirname, 'peers/jax-js.ts')],
} as const;
type PeerName = keyof typeof commands;
const peerNames = Object.keys(commands) as PeerName[];

/** A peer in a process of its own, which computes only while it is asked to. Undefined where it is not installed. */
async function openPeer(name: PeerName) {
  const [command, script] = commands[name];
  const { OPENBLAS_CORETYPE: _, OPENBLAS_L2_SIZE: __, ...env } = process.env;
  const child = spawn(command, [script], {
    env: { ...env, OMP_NUM_THREADS: '1' },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  child.on('error', () => undefined);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    return done ? undefined : (JSON.parse(value) as unknown);
  };
  const version = await next();
  if (typeof version !== 'string') return undefined;
  return {
    name,
    version,
    /** Undefined for a row that it does not have. */
    steps: async (row: string, count: number) => {
      child.stdin.write(`${row} ${count}\n`);
      return ((await next()) ?? undefined) as Figure | undefined;
    },
    close: () => child.stdin.end(),
  };
}

enableRevectorization();
const choice = selectKernel();
const machine = `${cpus()[0]?.model ?? 'unknown CPU'}, Node ${process.version}, one thread, kernel ${choice.name}`;
console.log(machine);
const opened = values['no-peer'] ? [] : await Promise.all(peerNames.map(openPeer));
const peers = opened.filter((peer) => peer !== undefined);
const missing = peerNames.filter((name) => !peers.some((peer) => peer.name === name));
if (missing.length > 0) console.log(`left out: ${missing.join(', ')}`);

const cell = ({ cpu, best }: Figure) => `${cpu.toFixed(2)} (${best.toFixed(2)})`;
interface Result {
  readonly row: string;
  readonly batch: number;
  readonly steps: number;
  readonly total: Figure;
  /** Of the shortest. */
  readonly gradients: number;
  /** Milliseconds of the first step, in which the engine optimizes the code. */
  readonly first: number;
  readonly loss: number;
  /** By peer, where it has the row. */
  readonly peers: Partial<Record<PeerName, Figure>>;
  /** Ours of theirs. */
  readonly ratios: Partial<Record<PeerName, number>>;
}
const results: Result[] = [];
for (const row of rows.filter(({ name }) => !values.row || name === values.row)) {
  const own = await openRow(row);
  const first = own.step();
  const once = own.step().total;
  const count = Math.max(1, Math.min(400, Math.round((1000 * Number(values.seconds)) / 2 / ROUNDS / once)));
  const times: { gradients: number; total: number }[] = [];
  const used: number[] = [];
  const theirs = new Map<PeerName, Figure[]>();
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage();
    for (let i = 0; i < count; i++) times.push(own.step());
    const { user, system } = process.cpuUsage(before);
    used.push((user + system) / 1000 / count);
    for (const { name, steps } of peers) {
      const figure = await steps(row.name, count);
      if (figure) theirs.set(name, [...(theirs.get(name) ?? []), figure]);
    }
  }
  const shortest = (list: readonly number[]) => Math.min(...list);
  const total: Figure = { cpu: median(used), best: shortest(times.map((time) => time.total)) };
  const gradients = shortest(times.map((time) => time.gradients));
  const figures = [...theirs].map(([name, list]) => {
    const figure: Figure = {
      cpu: median(list.map(({ cpu }) => cpu)),
      best: shortest(list.map(({ best }) => best)),
    };
    return { name, figure, ratio: total.cpu / figure.cpu };
  });
  const result: Result = {
    row: row.name,
    batch: row.batch,
    steps: times.length,
    total,
    gradients,
    first: first.total,
    loss: own.loss(),
    peers: Object.fromEntries(figures.map(({ name, figure }) => [name, figure])),
    ratios: Object.fromEntries(figures.map(({ name, ratio }) => [name, ratio])),
  };
  results.push(result);
  const against = figures.map(
    ({ name, figure, ratio }) => `; ${name} ${cell(figure)}, ratio ${ratio.toFixed(2)}`,
  );
  console.log(
    `${row.name}: ${cell(total)} ms, gradients ${gradients.toFixed(2)}${against.join('')}; first step ${first.total.toFixed(0)}`,
  );
}
for (const { close } of peers) close();

const headings = peers.flatMap(({ name }) => [`${name}, ms`, 'ratio']);
console.log(
  `\n| model | batch | kasane, ms | of these gradients |${headings.map((text) => ` ${text} |`).join('')}`,
);
console.log(`${'|---'.repeat(4 + headings.length)}|`);
for (const { row, batch, total, gradients, peers: figures, ratios } of results) {
  const cells = peers.flatMap(({ name }) => {
    const figure = figures[name];
    return figure ? [cell(figure), ratios[name]!.toFixed(2)] : ['', ''];
  });
  console.log(`| ${[row, batch, cell(total), gradients.toFixed(2), ...cells].join(' | ')} |`);
}
const folder = join(import.meta.dirname, 'results');
mkdirSync(folder, { recursive: true });
writeFileSync(
  join(folder, 'models.json'),
  `${JSON.stringify({ machine, peers: peers.map(({ version }) => version), results }, undefined, 1)}\n`,
);
