/** `kasane dashboard`, and how other commands bring the page along. */

import { spawn } from 'node:child_process';
import { type Dashboard, type DashboardOptions, startDashboard } from '@kasane/dashboard/server';
import type { ClientOptions } from '@kasane/protocol/client';
import { messageOf } from '@kasane/protocol/errors';
import { readServerTls } from '@kasane/protocol/internal/security/tls';
import { out } from '../../output/say.ts';
import { stopAsked } from '../../process/stop.ts';
import { withClient } from '../../process/with-client.ts';

export interface DashboardCommand extends ClientOptions {
  readonly host: string;
  readonly port: number;
  readonly json?: boolean;
  /** Of the page; those of TLS without it are for the coordinator. */
  readonly pageTlsCert?: string;
  readonly pageTlsKey?: string;
  readonly pageTlsCa?: string;
}

export async function dashboard(options: DashboardCommand): Promise<void> {
  // Whoever is wrong about the coordinator or its token hears it here, not on an empty page.
  await withClient(options, (client) => client.list(1));
  const { pageTlsCert: tlsCert, pageTlsKey: tlsKey, pageTlsCa: tlsCa } = options;
  const running = await startDashboard({ ...options, tls: readServerTls({ tlsCert, tlsKey, tlsCa }) });
  const { url } = running;
  out.write(`${options.json ? JSON.stringify({ url }) : `Dashboard at ${url}`}\n`);
  await stopAsked();
  await running.close();
}

/** The page beside another command: where its port is taken the command goes on without it, with a word. */
export async function dashboardBeside(
  options: DashboardOptions,
  say: (line: string) => void,
): Promise<Dashboard | undefined> {
  try {
    const running = await startDashboard(options);
    say(`Dashboard at ${running.url}`);
    return running;
  } catch (error) {
    say(`the dashboard did not start: ${messageOf(error)}`);
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
