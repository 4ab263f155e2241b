/** The commands `kasane context`. Loads nothing heavy. */
import type { Command } from 'commander';
import { address } from '../../program/options.ts';
import { command, help } from '../../program/program.ts';

export function addContext(): Command {
  const contexts = command('context', 'manage saved coordinator addresses').addHelpText(
    'after',
    help([
      'kasane context add lab --coordinator 10.0.0.1:7420 --token $KASANE_TOKEN',
      'kasane context use lab',
    ]),
  );
  const contextCommand = (text: string, summary: string, json = 'print one JSON object') =>
    contexts.command(text).description(summary).option('--json', json);
  contextCommand('list', 'list saved contexts', 'print a JSON array of objects')
    .addHelpText(
      'after',
      help(['kasane context list'], ['[{ name, coordinator, token: true, current: true }]']),
    )
    .action(async (options) => (await import('./context.ts')).list(options));
  contextCommand('add <name>', "save a coordinator's address and token")
    .requiredOption('--coordinator <host:port>', "coordinator's address", address())
    .option('--token <token>', 'access token')
    .addHelpText(
      'after',
      help(
        ['kasane context add lab --coordinator 10.0.0.1:7420 --token $KASANE_TOKEN'],
        ['{ name, coordinator, token: true, current: true }'],
      ),
    )
    .action(async (name, options) => (await import('./context.ts')).add(name, options));
  contextCommand('use <name>', 'make this the current context (KASANE_CONTEXT overrides it)')
    .addHelpText(
      'after',
      help(
        ['kasane context use lab', 'KASANE_CONTEXT=lab kasane jobs'],
        ['{ name, coordinator, token: true, current: true }'],
      ),
    )
    .action(async (name, options) => (await import('./context.ts')).use(name, options));
  contextCommand('remove <name>', 'delete a context')
    .addHelpText(
      'after',
      help(
        ['kasane context remove lab'],
        ['{ name, coordinator, token: true, current: false }, before the removal'],
      ),
    )
    .action(async (name, options) => (await import('./context.ts')).remove(name, options));
  return contexts;
}
