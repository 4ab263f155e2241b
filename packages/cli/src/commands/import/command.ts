/** The command `kasane import`. Loads nothing heavy. */
import { integer } from '../../program/options.ts';
import { command, help } from '../../program/program.ts';

export function addImport(): void {
  command('import <model>', 'convert an ONNX file to a job file and weights, for training or predictions')
    .option('-o, --output <file>', 'job file to write; the weights go next to it (default: MODEL.yaml)')
    .option(
      '--result <name>',
      'output of the model: any value of the graph (default: the only output of the file)',
    )
    .option(
      '--shape <sizes...>',
      'sample shape, without the batch, of inputs that leave it open: 3,224,224 or NAME=128',
    )
    .option('--channels-first', 'keep the channels of images first, as in the file (default: last)')
    .option(
      '--classes <n>',
      'number of classes in your data, if it differs: the last layer starts from scratch',
      integer(2, 1_000_000),
    )
    .option('--numbers', 'treat the outputs as numbers, not as class scores')
    .option('--data <path>', 'data to train on: a folder of images, table or text (default: none yet)')
    .option('--target <column>', 'table or series: column to predict (default: the last one)')
    .option('--set <key=value...>', 'keys of the data section, as for `kasane init`')
    .option('--force', 'overwrite existing files')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      help(
        [
          'kasane import resnet50.onnx --data photos --classes 5',
          'kasane import encoder.onnx --shape ids=128 --result pooled -o encoder.yaml',
        ],
        [
          '{ file, weights, opset, producer, input: [224, 224, 3], output: [1000], layers, parameters, notes: [] }',
        ],
      ),
    )
    .action(async (model, options) => (await import('./import.ts')).importModel(model, options));
}
