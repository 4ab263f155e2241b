/** The commands `kasane context`. Loads nothing heavy. */
import type { Command } from 'commander';
import { address } from './options.ts';
import { command, help } from './program.ts';

export function addContextCommands(): Command {
  const contexts = command(
    'context',
    'coordinators by name, so that their address need not be given each time',
  ).addHelpText(
    'after',
    help([
      'kasane context add lab --coordinator 10.0.0.1:7420 --token $KASANE_TOKEN',
      'kasane context use lab',
    ]),
  );
  const contextCommand = (text: string, summary: string, json = 'one object on standard output') =>
    contexts.command(text).description(summary).option('--json', json);
  contextCommand('list', 'those that there are', 'an array of objects on standard output')
    .addHelpText(
      'after',
      help(['kasane context list'], ['[{ name, coordinator, token: true, current: true }]']),
    )
    .action(async (options) => (await import('./commands/context.ts')).list(options));
  contextCommand('add <name>', 'keep the address of a coordinator, and its token')
    .requiredOption('--coordinator <host:port>', 'where it is', address())
    .option('--token <token>', 'the token to show it')
    .addHelpText(
      'after',
      help(
        ['kasane context add lab --coordinator 10.0.0.1:7420 --token $KASANE_TOKEN'],
        ['{ name, coordinator, token: true, current: true }'],
      ),
    )
    .action(async (name, options) => (await import('./commands/context.ts')).add(name, options));
  contextCommand('use <name>', 'ask this one from now on (KASANE_CONTEXT does it once)')
    .addHelpText(
      'after',
      help(
        ['kasane context use lab', 'KASANE_CONTEXT=lab kasane jobs'],
        ['{ name, coordinator, token: true, current: true }'],
      ),
    )
    .action(async (name, options) => (await import('./commands/context.ts')).use(name, options));
  contextCommand('remove <name>', 'forget one')
    .addHelpText(
      'after',
      help(['kasane context remove lab'], ['{ name, coordinator, token: true, current: false }, as it was']),
    )
    .action(async (name, options) => (await import('./commands/context.ts')).remove(name, options));
  return contexts;
}
