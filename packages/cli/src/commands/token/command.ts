/** The commands `kasane token`. Loads nothing heavy. */
import { Option } from 'commander';
import { span } from '../../program/duration.ts';
import { oneOf, tokenScopes } from '../../program/options.ts';
import { command, each, help } from '../../program/program.ts';

export function addToken(): void {
  const tokens = command('token', 'manage access tokens of a coordinator').addHelpText(
    'after',
    help(['kasane token create gpu-room --scope work', 'kasane token revoke gpu-room']),
  );
  const tokenCommand = (text: string, summary: string) =>
    tokens
      .command(text)
      .description(summary)
      .option('--state <dir>', "the coordinator's state directory (default: ~/.local/state/kasane)");
  tokenCommand('create <name>', 'create a token and print it once')
    .addOption(
      new Option('--scope <scope>', `${tokenScopes.join(', ')}; repeatable`)
        .argParser((text: string, before?: readonly string[]) => each(oneOf(tokenScopes)(text), before))
        .makeOptionMandatory(),
    )
    .option('--expires <span>', 'lifetime, such as 30m, 12h or 90d (default: unlimited)', span)
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      help(
        [
          'kasane token create gpu-room --scope work             # for workers',
          'kasane token create ci --scope submit --expires 90d   # submit includes read; admin includes all',
          'export KASANE_TOKEN=$(kasane token create me --scope admin)',
        ],
        ['{ id, name, scopes: ["work"], state: "valid", created, expires: null, token }'],
      ),
    )
    .action(async (name, options) => (await import('./token.ts')).create(name, options));
  tokenCommand('list', 'list tokens without their secrets')
    .option('--json', 'print a JSON array of objects')
    .addHelpText(
      'after',
      help(
        ['kasane token list'],
        ['[{ id, name, scopes: ["work"], state: "valid", created, expires: null }]'],
      ),
    )
    .action(async (options) => (await import('./token.ts')).list(options));
  tokenCommand('revoke <token>', 'revoke a token by its ID or name and end its streams')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      help(
        ['kasane token revoke gpu-room'],
        ['{ id, name, scopes: ["work"], state: "revoked", created, expires: null }'],
      ),
    )
    .action(async (which, options) => (await import('./token.ts')).revoke(which, options));
}
