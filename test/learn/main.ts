/**
 * `npm run learn -- [NUMBER ...] [--to FOLDER]`: runs experiments of "Learn by layers" and draws their pictures. Without a number, all of
 * them; without a folder, into .kasane/learn. docs/images/learn has those of the pages: nothing compares them, look at them.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CleanUp, TestCluster } from '../support/cluster.ts';
import { Experiments, type Run } from './experiments.ts';
import { drawings } from './pictures.ts';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { to: { type: 'string' } } });
const folder = values.to ?? '.kasane/learn';
const numbers = positionals.length > 0 ? positionals : Object.keys(drawings).sort();
const unknown = numbers.find((number) => !drawings[number]);
if (unknown !== undefined) {
  process.stderr.write(
    `no picture of experiment ${unknown}; those with one: ${Object.keys(drawings).sort().join(', ')}\n`,
  );
  process.exit(2);
}

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
try {
  await cluster.start();
  for (let worker = 0; worker < 2; worker++) await cluster.worker();
  const experiments = new Experiments(cluster, cleanUp);
  mkdirSync(folder, { recursive: true });
  for (const number of numbers) {
    const { jobs, file, draw } = drawings[number]!;
    const runs: Run[] = [];
    for (const name of jobs) {
      const run = await experiments.run(name);
      runs.push(run);
      const { epoch, trainMetric, testMetric, testLoss } = run.epochs.at(-1)!;
      const figures = [trainMetric, testMetric].map((value) => `${(100 * value).toFixed(2)} %`);
      process.stdout.write(
        `${name}: after ${epoch} epochs ${figures[0]} of the training data, ${figures[1]} of the test data, test loss ${testLoss.toFixed(4)}\n`,
      );
    }
    const path = join(folder, file);
    writeFileSync(path, await draw(runs, experiments));
    process.stdout.write(`${path}\n`);
  }
} finally {
  await cleanUp.run();
}
