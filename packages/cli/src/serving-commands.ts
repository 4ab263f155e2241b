/** The commands that stay: coordinator, worker, dashboard; and what belongs to them. Loads nothing heavy. */
import { limitOptions } from './limit-flags.ts';
import { DASHBOARD_PORT, DEFAULT_PORT, integer } from './options.ts';
import {
  addAll,
  backend,
  command,
  coordinator,
  gpuStorage,
  help,
  logFormat,
  logLevel,
  metrics,
  places,
  profile,
  redis,
  serverTls,
  token,
} from './program.ts';

export function addServingCommands(): void {
  const coordinatorCommand = command('coordinator', 'serve jobs: hand out work, update parameters')
    .option('--host <host>', 'address to listen on; beyond loopback tokens are required', '127.0.0.1')
    .option('--port <n>', 'port to listen on, 0 for a free one', integer(0, 65535), DEFAULT_PORT)
    .addOption(redis())
    .option('--announce-redis <url>', 'Redis as workers reach it, when that differs')
    .option('--dashboard-port <n>', 'port of the page, 0 for a free one', integer(0, 65535), DASHBOARD_PORT)
    .option(
      '--dashboard-host <host>',
      'address of the page; beyond loopback it asks for certificates (--tls-ca)',
      '127.0.0.1',
    )
    .option('--no-dashboard', 'serve no page')
    .option('--state <dir>', 'folder for jobs, checkpoints and weights (default: ~/.local/state/kasane)')
    .addOption(token('a token that may do everything, besides those of `kasane token`'))
    .option('--json', 'one object on standard output when it serves')
    .addOption(logLevel('info'))
    .addOption(logFormat())
    .addHelpText(
      'after',
      help(
        [
          'kasane coordinator                                 # for this machine',
          'kasane token create gpu-room --scope work && kasane coordinator --host 0.0.0.0 --redis $REDIS_URL \\',
          '  --tls-cert server.pem --tls-key server-key.pem --data-root /srv/data',
        ],
        ['{ address, join: ["kasane worker --coordinator ..."], redis, dashboard: its URL or null }'],
      ),
    )
    .action(async (options) => (await import('./commands/serve.ts')).coordinator(options));
  addAll(coordinatorCommand, [...serverTls(), ...places('jobs may'), ...limitOptions()]);

  command(
    'backup <folder>',
    "copy a coordinator's state, also while it runs, to a folder that is not there yet",
  )
    .option('--state <dir>', 'folder of the coordinator (default: ~/.local/state/kasane)')
    .option('--json', 'one object on standard output')
    .addHelpText(
      'after',
      help(
        [
          'kasane backup /backups/kasane-$(date +%F)',
          'kasane coordinator --state /backups/kasane-2026-11-01   # goes on from it',
        ],
        ['{ folder, jobs, files, bytes, missing: [] }'],
      ),
    )
    .action(async (folder, options) => (await import('./commands/backup.ts')).backup(folder, options));

  const workerCommand = command('worker', 'compute for a coordinator until stopped')
    .addOption(coordinator())
    .option('--slots <n>', 'compute threads (default: one a core, one for webgpu)', integer(1, 256))
    .addOption(backend())
    .addOption(gpuStorage())
    .addOption(profile())
    .option('--redis <url>', 'Redis as this machine reaches it (default: what the coordinator says)')
    .option('--no-shared-memory', 'send tensors over the network even to a coordinator on this machine')
    .addOption(token())
    .option(
      '--connect-timeout <s>',
      'give up when no coordinator answers for so many seconds',
      integer(1),
      60,
    )
    .addOption(logLevel('info'))
    .addOption(logFormat())
    .addHelpText(
      'after',
      help([
        'kasane worker                                       # for the coordinator of this machine',
        'KASANE_TOKEN=... kasane worker --coordinator 10.0.0.1:7420 --data-root /srv/data',
        'kasane worker --log-format json                     # it prints its log and nothing else',
      ]),
    )
    .action(async (options) => (await import('./commands/serve.ts')).worker(options));
  for (const option of metrics) {
    coordinatorCommand.addOption(option());
    workerCommand.addOption(option());
  }
  addAll(workerCommand, places('this worker may'));

  const page = command('dashboard', 'serve a page that shows jobs, layers and workers')
    .option('--host <host>', 'address of the page; beyond loopback --page-tls-ca is required', '127.0.0.1')
    .option('--port <n>', 'port of the page, 0 for a free one', integer(0, 65535), DASHBOARD_PORT)
    .option('--json', 'one object on standard output when it serves')
    .addOption(coordinator())
    .addOption(token())
    .addHelpText(
      'after',
      help(['kasane dashboard', 'kasane dashboard --coordinator 10.0.0.1:7420'], ['{ url }']),
    )
    .action(async (options) => (await import('./commands/dashboard.ts')).dashboard(options));
  addAll(page, serverTls('page-', ' to browsers'));
}
