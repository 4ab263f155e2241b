/** The command `kasane dashboard`. Loads nothing heavy. */
import { DASHBOARD_PORT, integer } from '../../program/options.ts';
import { addAll, command, coordinator, help, serverTls, token } from '../../program/program.ts';

export function addDashboard(): void {
  const page = command('dashboard', 'serve the dashboard')
    .option('--host <host>', 'address to listen on; requires --page-tls-ca beyond loopback', '127.0.0.1')
    .option('--port <n>', 'port to listen on, 0 for any free port', integer(0, 65535), DASHBOARD_PORT)
    .option('--json', 'print one JSON object once it is listening')
    .addOption(coordinator())
    .addOption(token())
    .addHelpText(
      'after',
      help(['kasane dashboard', 'kasane dashboard --coordinator 10.0.0.1:7420'], ['{ url }']),
    )
    .action(async (options) => (await import('./dashboard.ts')).dashboard(options));
  addAll(page, serverTls('page-', ' to browsers'));
}
