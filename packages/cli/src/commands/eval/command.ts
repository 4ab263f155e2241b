/** The command `kasane eval`. Loads nothing heavy. */
import { asks, command, help } from '../../program/program.ts';

export function addEval(): void {
  asks(
    command(
      'eval <model>',
      'evaluate a trained model (job ID, registered model or .safetensors file) on test data',
    )
      .option(
        '--data <path>',
        'path of the training data (default: as in the job; required for a file unless it was trained on MNIST)',
      )
      .option('--test <path>', 'path of separate test data (tables: any labeled rows)')
      .option('--confusion <file>', 'write the confusion matrix to this CSV file'),
  )
    .addHelpText(
      'after',
      help(
        [
          'kasane eval .kasane/mnist-cnn.safetensors',
          'kasane eval flowers-1a2b3c4d',
          'kasane eval flowers:production',
          'kasane eval flowers.safetensors --data flowers.csv',
          'kasane eval flowers.safetensors --test new-flowers.csv',
          'kasane eval flowers-1a2b3c4d --confusion confusion.csv',
        ],
        [
          '{ samples, counted, loss, metric: "accuracy", value: 0.98, seconds, metrics: { precision, recall, f1, ... },',
          '   classes: [{ name, samples, predicted, hits, precision, recall, f1, rocAuc }], confusion: [[...], ...] }',
          'classes: with the objective binary, the outputs; samples: how many are of the class, or positive',
        ],
      ),
    )
    .action(async (model, options) => (await import('./eval.ts')).evaluate(model, options));
}
