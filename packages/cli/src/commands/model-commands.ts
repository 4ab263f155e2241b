/** The commands about a trained model, and about models: predict, eval, export, models, layers. Loads nothing heavy. */
import { Option } from 'commander';
import { atLeast, exportFormats, integer, oneOf } from '../program/options.ts';
import { asks, command, help } from '../program/program.ts';

export function addModelCommands(): void {
  asks(
    command('predict <model> <inputs...>', 'run a trained model (job ID or .safetensors file) on inputs')
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
          'Invalid inputs are reported on standard error; the others are still processed.',
        ],
      ),
    )
    .action(async (model, inputs, options) =>
      (await import('./predict/predict.ts')).predict(model, inputs, options),
    );

  asks(
    command('eval <model>', 'evaluate a trained model (job ID or .safetensors file) on test data')
      .option('--data <path>', 'path of the training data (default: as in the job; for a file, MNIST)')
      .option('--test <path>', 'path of separate test data; for tables, any labeled rows'),
  )
    .addHelpText(
      'after',
      help(
        [
          'kasane eval .kasane/mnist-cnn.safetensors',
          'kasane eval flowers-1a2b3c4d',
          'kasane eval flowers.safetensors --data flowers.csv',
          'kasane eval flowers.safetensors --test new-flowers.csv',
        ],
        ['{ samples, counted, loss, metric: "accuracy", value: 0.98, seconds }'],
      ),
    )
    .action(async (model, options) => (await import('./eval/eval.ts')).evaluate(model, options));

  asks(
    command('export <model>', 'convert a trained model to ONNX or safetensors')
      .addOption(
        new Option('--format <format>', 'onnx or safetensors (default: from --output, else onnx)').argParser(
          oneOf(exportFormats),
        ),
      )
      .option('-o, --output <file>', 'output file (default: MODEL.onnx or MODEL.safetensors)'),
  )
    .addHelpText(
      'after',
      help(
        ['kasane export mnist-mlp-1a2b3c4d', 'kasane export .kasane/mnist-cnn.safetensors -o digits.onnx'],
        ['{ file, format, bytes, digest, input: [784], output: [10] }'],
      ),
    )
    .action(async (model, options) => (await import('./export/export.ts')).exportModel(model, options));

  command('models [job]', 'list presets, or show the layers of a preset or job file')
    .option('--set <name=value...>', 'preset options, such as classes=10 stem=cifar')
    .option('--json', 'print a JSON array of objects')
    .addHelpText(
      'after',
      help(
        ['kasane models', 'kasane models resnet-18 --set classes=10 stem=cifar', 'kasane models job.yaml'],
        [
          'without a name:  [{ name, summary, options: [{ name, expects, default, describe }] }]',
          'for a model:     [{ name, type, from, outputShape, parameters, flops }]',
        ],
      ),
    )
    .action(async (job, options) => (await import('./models/models.ts')).models(job, options));

  command('layers [name]', 'list layers, or explain one: its options, shapes, formula and an example')
    .option('--json', 'print a JSON array of objects, or one object')
    .addHelpText(
      'after',
      help(
        ['kasane layers', 'kasane layers conv2d'],
        [
          '{ type, summary, explains, takes, gives, formula, paper: a text or null,',
          '  options: [{ name, expects, default: a value or null if required, describe }], example: a model }',
          'Without a name: an array of these, one per layer.',
        ],
      ),
    )
    .action(async (name, options) => (await import('./models/layers.ts')).layers(name, options));
}
