/** The commands that explain models: models and layers. Loads nothing heavy. */
import { command, help } from '../../program/program.ts';

export function addModels(): void {
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
    .action(async (job, options) => (await import('./models.ts')).models(job, options));
}

export function addLayers(): void {
  command('layers [name]', 'list layers, or explain one: its options, shapes, formula and an example')
    .option('--json', 'print a JSON array of objects, or one object')
    .addHelpText(
      'after',
      help(
        ['kasane layers', 'kasane layers conv2d'],
        [
          '{ type, summary, explains, takes, gives, formula, paper: a string or null,',
          '  options: [{ name, expects, default: a value or null if required, describe }], example: a model }',
          'Without a name: an array of these, one per layer.',
        ],
      ),
    )
    .action(async (name, options) => (await import('./layers.ts')).layers(name, options));
}
