/** The command `kasane predict`. Loads nothing heavy. */
import { Option } from 'commander';
import { atLeast, integer } from '../../program/options.ts';
import { asks, command, help } from '../../program/program.ts';

export function addPredict(): void {
  asks(
    command(
      'predict <model> <inputs...>',
      'run a trained model (job ID, registered model or .safetensors file) on inputs',
    )
      .addOption(
        new Option(
          '--out <file>',
          'write a CSV file with one row per input; not for text generation',
        ).conflicts('json'),
      )
      .option('--invert', 'images: invert all (default: only grayscale images with a bright border)')
      .option('--no-invert', 'images: never invert')
      .option('--max-tokens <n>', 'language models: number of tokens to generate', integer(1, 1_000_000), 200)
      .option(
        '--temperature <x>',
        'sampling temperature; 0 always takes the most likely token',
        atLeast(0),
        1,
      )
      .option('--top-k <n>', 'sample from the n most likely tokens, 0 for all', integer(0), 0)
      .option('--seed <n>', 'random seed for sampling', integer(0), 0),
    'print one JSON object per input',
  )
    .addHelpText(
      'after',
      help(
        [
          'kasane predict mnist-mlp-1a2b3c4d digit.png other.jpg',
          'kasane predict photos-1a2b3c4d new-photos --out labels.csv    # a folder: one row per file',
          'kasane predict digits:production digit.png    # a registered model: see kasane model',
          'kasane predict .kasane/xor.safetensors 0,1 1,1    # one number per input; use -- before negative numbers',
          'kasane predict flowers-1a2b3c4d new.csv 5.1,3.5,1.4 petal=1.4,sepal=5.1,leaf=2    # rows of a table',
          'kasane predict river-1a2b3c4d levels.csv              # forecasts the values after the last rows',
          "kasane predict gpt-1a2b3c4d 'Once upon' --temperature 0.8 --max-tokens 400",
          "kasane predict bert-1a2b3c4d 'Once upon a [MASK]'",
        ],
        [
          'classes:  { input, class, label, probabilities, inverted, background }',
          'numbers:  { input, output: [0.5], targets: ["price"] }',
          'text:     { input, text, tokens }',
          'CSV (for folders and with --out): input,label,probability or input and a column per target',
          'Invalid inputs are reported on standard error; the others are still processed.',
        ],
      ),
    )
    .action(async (model, inputs, options) => (await import('./predict.ts')).predict(model, inputs, options));
}
