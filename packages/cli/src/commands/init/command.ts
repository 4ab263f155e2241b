/** The command `kasane init`. Loads nothing heavy. */
import { integer } from '../../program/options.ts';
import { command, help } from '../../program/program.ts';

export function addInit(): void {
  command('init [file]', 'create a job file for your data')
    .option('--data <path>', 'folder of images, table or text (default: prompt, or MNIST)')
    .option('--target <column>', 'table or series: column to predict (default: prompt, or the last one)')
    .option('--size <n>', 'images: side length in pixels (default: prompt, or 64)', integer(1, 16_384))
    .option('--epochs <n>', 'passes over the training set (default: prompt, or 10)', integer(1, 100_000))
    .option('-y, --yes', 'accept all defaults without prompting')
    .option(
      '--set <key=value...>',
      'keys of the data section, such as delimiter=";" or columns.Ticket=ignore',
    )
    .option('--force', 'overwrite an existing file')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      help(
        [
          'kasane init',
          'kasane init flowers.yaml --data flowers.csv --target kind --yes',
          'kasane init titanic.yaml --data titanic.csv --target Survived --set columns.Fare=ignore --yes',
        ],
        ['{ file, why, notes: [], job: { name, model, data, training } }'],
      ),
    )
    .action(async (file, options) => (await import('./init.ts')).init(file ?? 'job.yaml', options));
}
