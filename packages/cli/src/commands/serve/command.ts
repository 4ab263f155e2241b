/** The commands that stay, coordinator and worker, and backup. Loads nothing heavy. */
import { Option } from 'commander';
import { limitOptions } from '../../program/limit-flags.ts';
import { DASHBOARD_PORT, DEFAULT_PORT, integer, oneOf } from '../../program/options.ts';
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
  threads,
  token,
} from '../../program/program.ts';

export function addCoordinator(): void {
  const serving = command('coordinator', 'run a coordinator')
    .option('--host <host>', 'address to listen on; tokens are required beyond loopback', '127.0.0.1')
    .option('--port <n>', 'port to listen on, 0 for any free port', integer(0, 65535), DEFAULT_PORT)
    .addOption(redis())
    .option('--announce-redis <url>', 'Redis URL for workers, if different')
    .option(
      '--dashboard-port <n>',
      'port of the dashboard, 0 for any free port',
      integer(0, 65535),
      DASHBOARD_PORT,
    )
    .option(
      '--dashboard-host <host>',
      'address of the dashboard; requires client certificates (--tls-ca) beyond loopback',
      '127.0.0.1',
    )
    .option('--no-dashboard', 'do not serve the dashboard')
    .addOption(
      new Option(
        '--exchange <way>',
        'how gradients travel: workers (directly between them), coordinator (through it), or auto',
      )
        .default('auto')
        .argParser(oneOf(['auto', 'workers', 'coordinator'])),
    )
    .option(
      '--state <dir>',
      'state directory for jobs, checkpoints and weights (default: ~/.local/state/kasane)',
    )
    .addOption(
      new Option('--mlflow <url>', 'send jobs, parameters and metrics to this MLflow tracking server'),
    )
    .addOption(
      new Option('--mlflow-experiment <name>', 'MLflow experiment to which jobs are added as runs').default(
        'kasane',
      ),
    )
    .addOption(token('admin token, in addition to those of `kasane token`'))
    .option('--json', 'print one JSON object once it is listening')
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
    .action(async (options) => (await import('./serve.ts')).coordinator(options));
  addAll(serving, [...serverTls(), ...places('jobs may'), ...limitOptions(), ...metrics()]);
}

export function addBackup(): void {
  command('backup <folder>', "copy a coordinator's state to a new folder, even while it runs")
    .option('--state <dir>', "the coordinator's state directory (default: ~/.local/state/kasane)")
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      help(
        [
          'kasane backup /backups/kasane-$(date +%F)',
          'kasane coordinator --state /backups/kasane-2026-11-01   # continues from the backup',
        ],
        ['{ folder, jobs, files, bytes, missing: [] }'],
      ),
    )
    .action(async (folder, options) => (await import('./backup.ts')).backup(folder, options));
}

export function addWorker(): void {
  const working = command('worker', 'run a worker for a coordinator')
    .addOption(coordinator())
    .option(
      '--slots <n>',
      'shards that it computes at once (default: one per core, one for webgpu)',
      integer(1, 256),
    )
    .addOption(threads())
    .addOption(backend())
    .addOption(gpuStorage())
    .addOption(profile())
    .option('--redis <url>', 'Redis URL (default: as announced by the coordinator)')
    .option('--no-shared-memory', 'use the network even if the coordinator is on this machine')
    .option('--no-peers', 'do not exchange gradients directly with other workers')
    .addOption(token())
    .option('--connect-timeout <s>', 'seconds to wait for the coordinator before giving up', integer(1), 60)
    .addOption(logLevel('info'))
    .addOption(logFormat())
    .addHelpText(
      'after',
      help([
        'kasane worker                                       # for a coordinator on this machine',
        'KASANE_TOKEN=... kasane worker --coordinator 10.0.0.1:7420 --data-root /srv/data',
        'kasane worker --log-format json                     # prints log entries only',
      ]),
    )
    .action(async (options) => (await import('./serve.ts')).worker(options));
  addAll(working, [...metrics(), ...places('this worker may')]);
}
