/** The command `kasane export`. Loads nothing heavy. */
import { Option } from 'commander';
import { exportFormats, oneOf } from '../../program/options.ts';
import { asks, command, help } from '../../program/program.ts';

export function addExport(): void {
  asks(
    command(
      'export <model>',
      'convert a trained model (job ID, registered model or .safetensors file) to ONNX or safetensors',
    )
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
        [
          'kasane export mnist-mlp-1a2b3c4d',
          'kasane export digits:production -o digits.onnx',
          'kasane export .kasane/mnist-cnn.safetensors -o digits.onnx',
        ],
        ['{ file, format, bytes, digest, input: [784], output: [10] }'],
      ),
    )
    .action(async (model, options) => (await import('./export.ts')).exportModel(model, options));
}
