/** The commands `kasane context`. Loads nothing heavy. */
import type { Command } from 'commander';
import { address } from './options.ts';
import { command, help } from './program.ts';

export function addContextCommands(): Command {
  const contexts = command(
    'context',
    'coordinators by name, so that their address need not be given each time',
  );
  const contextCommand = (text: string, summary: string) => contexts.command(text).description(summary);
  contextCommand('list', 'those that there are')
    .option('--json', 'an array of objects on standard output')
    .addHelpText(
      'after',
      help(['kasane context list'], ['[{ name, coordinator, token: true, current: true }]']),
    )
    .action(async (options) => (await import('./commands/context.ts')).list(options));
  contextCommand('add <name>', 'keep the address of a coordinator, and its token')
    .requiredOption('--coordinator <host:port>', 'where it is', address())
    .option('--token <token>', 'its shared secret')
    .action(async (name, options) => (await import('./commands/context.ts')).add(name, options));
  contextCommand('use <name>', 'ask this one from now on (KASANE_CONTEXT does it once)').action(
    async (name) => (await import('./commands/context.ts')).use(name),
  );
  contextCommand('remove <name>', 'forget one').action(async (name) =>
    (await import('./commands/context.ts')).remove(name),
  );
  return contexts;
}
