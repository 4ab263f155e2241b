/** The command `kasane runs`, which compares jobs. Loads nothing heavy. */
import { type Command, Option } from 'commander';
import { integer } from '../../program/options.ts';
import { asks, command, each, help } from '../../program/program.ts';

/** Reads names with commas between them. */
const names = (text: string): readonly string[] => text.split(',').map((name) => name.trim());

const addList = (): Command =>
  asks(
    command('runs', 'compare jobs: a table of their settings and results')
      .option('--columns <list>', 'columns to show, such as name,training.learningRate,testMetric', names)
      .option(
        '--filter <condition>',
        "only jobs that meet it, such as 'training.batch>=64'; repeatable",
        each,
      )
      .option(
        '--sort <column>',
        'sort by this column, largest first with a leading - (default: newest first)',
      )
      .option('--limit <n>', 'at most this many rows', integer(1))
      .option('--sweep <sweep>', 'only the trials of this sweep')
      .option('--tag <tag>', 'only jobs with this tag')
      .addOption(new Option('--csv', 'print comma-separated values').conflicts('json')),
    'print a JSON array of objects',
  ).addHelpText(
    'after',
    help(
      [
        'kasane runs --sort -bestMetric --limit 10',
        'kasane runs --sweep digits-1a2b3c4d --csv > trials.csv',
        "kasane runs --filter 'training.batch>=64' --filter 'state=succeeded'",
        'kasane runs --columns job,training.optimizer.type,bestMetric,bestEpoch',
        'kasane runs diff mnist-mlp-1a2b3c4d mnist-mlp-5e6f7a8b',
        'A column is a key of `kasane jobs --json`, `seconds`, `parameters`, `flops`, or the path of a key in the job file.',
        'Conditions: =, !=, <, <=, >, >=, and ~ for text that contains other text. `key=` matches jobs in which it has no value.',
        'Without --columns: results, and keys of the job files in which the listed jobs differ.',
      ],
      ['[{ job, values: values by column }]'],
    ),
  );

export function addRuns(): Command {
  const runs = addList()
    .action(async (options) => (await import('./runs.ts')).runs(options))
    // What follows `diff` is for `diff`.
    .enablePositionalOptions();
  asks(
    runs
      .command('diff <job> <other>')
      .description('show how two jobs differ, in their job files and results'),
  )
    .addHelpText(
      'after',
      help(
        ['kasane runs diff mnist-mlp-1a2b3c4d mnist-mlp-5e6f7a8b'],
        ['{ jobs, file: [{ key, values: of each job }], results: [{ as in file }] }'],
      ),
    )
    .action(async (job, other, options) => (await import('./diff.ts')).diff([job, other], options));
  return runs;
}
