/** The commands `kasane cert`. Loads nothing heavy. */
import { Option } from 'commander';
import { integer } from '../../program/options.ts';
import { command, each, help } from '../../program/program.ts';

export function addCert(): void {
  command('cert', 'create TLS certificates')
    .addHelpText('after', help(['kasane cert dev certificates --host train.example.org']))
    .command('dev [folder]')
    .description('create a CA and certificates for a coordinator and a client, for development')
    .addOption(
      new Option('--host <host>', 'host name or address of the coordinator; repeatable')
        .argParser(each)
        .default([], "this machine's"),
    )
    .option('--days <n>', 'validity in days', integer(1, 3650), 365)
    .option('--force', 'also replace the CA')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      help(
        ['kasane cert dev', 'kasane cert dev /etc/kasane --host train.example.org'],
        ['{ folder, ca, server, client, hosts, days }'],
      ),
    )
    .action(async (folder, options) => (await import('./cert.ts')).dev(folder ?? 'certificates', options));
}
