/** `kasane dashboard`, and how other commands bring the page along. */
import { spawn } from 'node:child_process';
import { type Dashboard, startDashboard } from '@kasane/dashboard/server';
import { CoordinatorClient } from '@kasane/protocol/client';
import { messageOf } from '@kasane/protocol/errors';
import { stopAsked } from '../stop.ts';

export interface DashboardCommand {
  readonly port: number;
  readonly coordinator: string;
  readonly token?: string;
}

export async function dashboard({ port, coordinator, token }: DashboardCommand): Promise<void> {
  // Whoever is wrong about the coordinator or its token hears it here, not on an empty page.
  const client = new CoordinatorClient({ coordinator, token });
  await client.list().finally(() => client.close());
  const running = await startDashboard({ port, coordinator, token });
  process.stdout.write(`Dashboard at ${running.url}\n`);
  await stopAsked();
  await running.close();
}

/** The page beside another command: where its port is taken the command goes on without it, with a word. */
export async function dashboardBeside(
  options: DashboardCommand,
  say: (line: string) => void,
): Promise<Dashboard | undefined> {
  try {
    const running = await startDashboard(options);
    say(`Dashboard at ${running.url}`);
    return running;
  } catch (error) {
    say(`no dashboard: ${messageOf(error)}`);
    return undefined;
  }
}

/** Opens an address in the user's browser, where there is one. */
export function openBrowser(url: string): void {
  const commands: Partial<Record<NodeJS.Platform, [string, ...string[]]>> = {
    darwin: ['open'],
    win32: ['cmd', '/c', 'start', ''],
  };
  const [command, ...args] = commands[process.platform] ?? ['xdg-open'];
  const child = spawn(command, [...args, url], { stdio: 'ignore', detached: true });
  child.on('error', () => {}); // its address has been said
  child.unref();
}
