/** The commands about a trained model, and about models: predict, eval, export, models. Loads nothing heavy. */
import { Option } from 'commander';
import { atLeast, exportFormats, integer, oneOf } from './options.ts';
import { asks, command, help } from './program.ts';

export function addModelCommands(): void {
  asks(
    command(
      'predict <model> <inputs...>',
      'what a trained model makes of inputs; a job id or a .safetensors file',
    )
      .option('--invert', 'images: black on white, invert first (default: grey ones with a bright border)')
      .option('--no-invert', 'images: never invert')
      .option('--max-tokens <n>', 'language models: tokens to write', integer(1, 1_000_000), 200)
      .option('--temperature <x>', 'above 1 is bolder, 0 always takes the best token', atLeast(0), 1)
      .option('--top-k <n>', 'draw from the best n tokens only, 0 from all', integer(0), 0)
      .option('--seed <n>', 'what is drawn; the same seed writes the same text', integer(0), 0),
    'one object for each input on standard output',
  )
    .addHelpText(
      'after',
      help(
        [
          'kasane predict mnist-mlp-1a2b3c4d digit.png other.jpg',
          'kasane predict .kasane/xor.safetensors 0,1 1,1    # as many numbers as the model takes; -- before negative ones',
          'kasane predict flowers-1a2b3c4d new.csv 5.1,3.5,1.4 petal=1.4,sepal=5.1,leaf=2    # rows of a table',
          'kasane predict river-1a2b3c4d levels.csv              # what comes after its last rows',
          "kasane predict gpt-1a2b3c4d 'Once upon' --temperature 0.8 --max-tokens 400",
          "kasane predict bert-1a2b3c4d 'Once upon a [MASK]'",
        ],
        [
          'classes:  { input, class, label, probabilities, inverted, background }',
          'numbers:  { input, output: [0.5], targets: ["price"] }',
          'text:     { input, text, tokens }',
        ],
      ),
    )
    .action(async (model, inputs, options) =>
      (await import('./commands/predict.ts')).predict(model, inputs, options),
    );

  asks(
    command(
      'eval <model>',
      'loss and metric of a trained model on test data; a job id or a .safetensors file',
    )
      .option(
        '--data <path>',
        'where the data that it was trained on is (default: where the job has it; of a file, MNIST)',
      )
      .option('--test <path>', 'where the test data is, if the job named it apart'),
  )
    .addHelpText(
      'after',
      help(
        [
          'kasane eval .kasane/mnist-cnn.safetensors',
          'kasane eval flowers-1a2b3c4d',
          'kasane eval flowers.safetensors --data flowers.csv',
        ],
        ['{ samples, counted, loss, metric: "accuracy", value: 0.98, seconds }'],
      ),
    )
    .action(async (model, options) => (await import('./commands/eval.ts')).evaluate(model, options));

  asks(
    command('export <model>', 'write a trained model as a file for other programs')
      .addOption(
        new Option(
          '--format <format>',
          'onnx or safetensors (default: as --output ends, else onnx)',
        ).argParser(oneOf(exportFormats)),
      )
      .option('-o, --output <file>', 'where it goes (default: MODEL.onnx or MODEL.safetensors, here)'),
  )
    .addHelpText(
      'after',
      help(
        ['kasane export mnist-mlp-1a2b3c4d', 'kasane export .kasane/mnist-cnn.safetensors -o digits.onnx'],
        ['{ file, format, bytes, digest, input: [784], output: [10] }'],
      ),
    )
    .action(async (model, options) => (await import('./commands/export.ts')).exportModel(model, options));

  command(
    'models [job]',
    'list presets, or show the options and layers of a preset, or the layers of a job file',
  )
    .option('--set <name=value...>', 'options of the preset, such as classes=10 stem=cifar')
    .option('--json', 'an array of objects on standard output')
    .addHelpText(
      'after',
      help(
        ['kasane models', 'kasane models resnet-18 --set classes=10 stem=cifar', 'kasane models job.yaml'],
        [
          'without a name:  [{ name, summary, options: [{ name, expects, default, describe }] }]',
          'of a model:      [{ name, type, from, outputShape, parameters, flops }]',
        ],
      ),
    )
    .action(async (job, options) => (await import('./commands/models.ts')).models(job, options));
}
