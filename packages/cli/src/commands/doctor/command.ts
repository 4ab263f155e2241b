/** The command `kasane doctor`. Loads nothing heavy. */
import { Option } from 'commander';
import { address } from '../../program/options.ts';
import { command, help, redis, token } from '../../program/program.ts';

export function addDoctor(): void {
  command('doctor', 'check this machine and suggest fixes')
    .addOption(redis())
    .addOption(
      new Option('--coordinator <host:port>', 'also check this coordinator')
        .env('KASANE_COORDINATOR')
        .argParser(address()),
    )
    .addOption(token())
    .option('--state <dir>', "a coordinator's state directory (default: ~/.local/state/kasane)")
    .option('--json', 'print a JSON array of objects')
    .addHelpText(
      'after',
      help(
        ['kasane doctor', 'kasane doctor --redis redis://:PASSWORD@10.0.0.1:6379'],
        [
          '[{ name, state: "ok" | "note" | "wrong", found, todo: what to do or null }]',
          'Exits with code 69 if something is wrong.',
        ],
      ),
    )
    .action(async (options) => (await import('./doctor.ts')).doctor(options));
}
