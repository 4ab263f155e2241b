/** `npm run chaos`: punishes trainings and says what it cost. `npm run chaos -- --help` says how. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { notInContainers } from './containers.ts';
import { type FaultName, faults } from './faults.ts';
import { figures } from './figures.ts';
import { chaosJob } from './job.ts';
import { complaints, type Punished, Punisher } from './punish.ts';
import { costTable, figuresTable } from './report.ts';
import { allFaults, schedule } from './schedule.ts';
import { soak } from './soak.ts';
import { Stage } from './stage.ts';

const WORKERS = 3;
const EPOCHS = 20;
/** Many jobs, one after the other, on one disk. */
const LONG = { diskMib: 256, coordinator: ['--keep-jobs', '3'] };
const SHORT = { coordinator: [] };

const usage = `npm run chaos -- [options]

  --seed 1                one job under the whole schedule
  --seed 1 --seeds 10     ten of them, with seeds 1 to 10
  --seed 1 --minutes 120  jobs one after the other, a fault every 20 s, memory watched
  --figures               each fault alone: times to detection, first gradient, full speed
  --faults kill,flush     only these, of:
                          ${allFaults.join(' ')}
  --containers            Redis, coordinator and workers in containers of their own, on a private network
  --exchange workers      how gradients travel (kasane coordinator --help); auto unless set
  --every 10              local steps between two exchanges
  --epochs ${EPOCHS}             of each job
  --verbose               every line that any process says`;

function fail(text: string): never {
  process.stderr.write(`${text}\n`);
  process.exit(2);
}

function readOptions() {
  try {
    return parseArgs({
      options: {
        seed: { type: 'string', default: '1' },
        seeds: { type: 'string', default: '1' },
        minutes: { type: 'string' },
        figures: { type: 'boolean', default: false },
        faults: { type: 'string' },
        containers: { type: 'boolean', default: false },
        exchange: { type: 'string', default: 'auto' },
        every: { type: 'string', default: '1' },
        epochs: { type: 'string', default: String(EPOCHS) },
        verbose: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    return fail(`${(error as Error).message}\n\n${usage}`);
  }
}

const values = readOptions();
if (values.help) {
  process.stdout.write(`${usage}\n`);
  process.exit();
}
for (const name of ['seed', 'seeds', 'epochs', 'every', 'minutes'] as const) {
  const value = values[name] ?? '1';
  if (!(Number(value) > 0)) fail(`--${name} takes a number above 0, not '${value}'`);
}
const first = Number(values.seed);
const usual = allFaults.filter((name) => !values.containers || !notInContainers[name]);
const names = values.faults ? (values.faults.split(',') as FaultName[]) : usual;
for (const name of names) if (!(name in faults)) fail(`no fault '${name}': ${allFaults.join(', ')}`);
const say = (text: string) => process.stdout.write(`${text}\n`);
const directory = mkdtempSync(join(tmpdir(), 'kasane-chaos-data-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));

/** Opens a stage for as long as `use` takes. */
async function on<T>(seed: number, use: (stage: Stage, punisher: Punisher) => Promise<T>): Promise<T> {
  const punisher = new Punisher();
  const long = values.minutes !== undefined || values.figures ? LONG : SHORT;
  const stage = await Stage.open({
    workers: WORKERS,
    seed,
    containersWith: values.containers ? directory : undefined,
    ...long,
    coordinator: [...long.coordinator, '--exchange', values.exchange],
    onLine: (line) => {
      punisher.onLine(line);
      if (values.verbose) process.stderr.write(`${line.from}: ${line.text}\n`);
    },
  });
  const interrupted = () => void stage.close().finally(() => process.exit(130));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupted);
  try {
    return await use(stage, punisher);
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, interrupted);
    await stage.close();
  }
}

const job = chaosJob(directory, Number(values.epochs), undefined, Number(values.every));
const bad: string[] = [];
if (values.minutes !== undefined) {
  bad.push(
    ...(await on(first, (stage, punisher) => soak(stage, punisher, job, Number(values.minutes), first, say))),
  );
} else if (values.figures) {
  const found = await on(first, (stage, punisher) => figures(stage, punisher, job, names, say));
  say(figuresTable(found));
} else {
  const runs: { run: Punished; quiet: Punished }[] = [];
  for (let seed = first; seed < first + Number(values.seeds); seed++) {
    await on(seed, async (stage, punisher) => {
      const quiet = await punisher.run(stage, job, []);
      say(
        `seed ${seed}: quiet run ${quiet.seconds.toFixed(1)} s, ${job.steps} steps, digest ${quiet.digest.slice(0, 16)}`,
      );
      const run = await punisher.run(
        stage,
        job,
        schedule({ seed, faults: names, steps: job.steps, workers: WORKERS }),
      );
      const wrong = complaints(run, quiet.digest);
      runs.push({ run, quiet });
      say(
        `seed ${seed}: ${run.seconds.toFixed(1)} s under ${run.blows.length} faults: ${wrong.length === 0 ? 'same digest, ledger whole' : 'WRONG'}`,
      );
      for (const line of wrong) say(`  ${line}`);
      bad.push(...wrong);
    });
  }
  say(costTable(runs));
}
if (bad.length > 0) say(`${bad.length} complaints`);
process.exitCode = bad.length > 0 ? 1 : 0;
