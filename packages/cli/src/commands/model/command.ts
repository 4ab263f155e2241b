/** The commands `kasane model`, the registry of trained models. Loads nothing heavy. */
import type { Command } from 'commander';
import { asks, command, each, help } from '../../program/program.ts';

const VERSION_SHAPE = '{ model: "digits:3", aliases, job, digest, bytes, registeredAt, description }';

export function addModel(): Command {
  const models = command('model', 'register trained models under a name and a version').addHelpText(
    'after',
    help([
      'kasane model register mnist-mlp-1a2b3c4d digits:3 --alias production',
      'kasane predict digits:production digit.png',
    ]),
  );
  const modelCommand = (text: string, summary: string, json?: string) =>
    asks(models.command(text).description(summary), json);
  addRegister(modelCommand);
  modelCommand('list [name]', 'list registered models, newest first', 'print a JSON array of objects')
    .addHelpText('after', help(['kasane model list', 'kasane model list digits'], [`[${VERSION_SHAPE}]`]))
    .action(async (name, options) => (await import('./model.ts')).list(name, options));
  modelCommand('show <model>', 'show a registered model and what it was trained from')
    .addHelpText(
      'after',
      help(
        ['kasane model show digits:3', 'kasane model show digits:production --json'],
        [
          '{ model: "digits:3", aliases, job, digest, bytes, registeredAt, description, metric, testMetric, testLoss,',
          '   testMetrics: { f1, ... }, epochs, steps, data: { digest, trainingSamples, testSamples }, parentDigest, parents,',
          '   source: { file, revision, dirty, kasane }, trainedBy, registeredBy, jobFile: the job file with defaults }',
          'data, source and testMetric are null if unknown.',
        ],
      ),
    )
    .action(async (model, options) => (await import('./model.ts')).show(model, options));
  addAlias(modelCommand);
  modelCommand('card <model>', 'print a model card: Markdown with data, results, model and usage')
    .option('-o, --output <file>', 'write it to this file instead')
    .addHelpText(
      'after',
      help(
        ['kasane model card digits:3', 'kasane model card digits:production -o MODEL_CARD.md'],
        ['{ model: "digits:3", card: the Markdown }'],
      ),
    )
    .action(async (model, options) => (await import('./model.ts')).card(model, options));
  modelCommand(
    'delete <models...>',
    'delete registered versions with their weights',
    'print one JSON object per model',
  )
    .option('-y, --yes', 'do not ask; required without a terminal')
    .addHelpText(
      'after',
      help(
        ['kasane model delete digits:1 digits:2'],
        ['{ model, bytes: size of its weights (0 if another version has the same) }'],
      ),
    )
    .action(async (names, options) => (await import('./model.ts')).deleteModels(names, options));
  return models;
}

type Add = (text: string, summary: string, json?: string) => Command;

function addRegister(modelCommand: Add): void {
  modelCommand('register <job> <name:version>', "register a job's final weights as a version of a model")
    .option('--alias <alias>', 'point this alias to it; repeatable', each)
    .option('--description <text>', 'description for its users')
    .addHelpText(
      'after',
      help(
        [
          'kasane model register mnist-mlp-1a2b3c4d digits:3',
          "kasane model register mnist-mlp-1a2b3c4d digits:3 --alias production --description 'with augmentation'",
          'A version never changes, and stays when the job is deleted. Aliases can be moved.',
        ],
        [VERSION_SHAPE],
      ),
    )
    .action(async (job, model, options) => (await import('./model.ts')).register(job, model, options));
}

function addAlias(modelCommand: Add): void {
  modelCommand('alias <model> [alias]', 'point an alias to a version, or remove an alias')
    .option('--remove', 'remove the alias; the version stays')
    .addHelpText(
      'after',
      help(
        [
          'kasane model alias digits:3 production',
          'kasane model alias digits:staging production    # to the version that is staging now',
          'kasane model alias digits:production --remove',
        ],
        [
          '{ model: "digits:3", aliases, job, digest, bytes, registeredAt, description, before: its earlier version }',
        ],
      ),
    )
    .action(async (model, alias, options) => (await import('./model.ts')).alias(model, alias, options));
}
