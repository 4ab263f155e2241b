/** `kasane workers`: who computes. */
import { type ClientOptions, CoordinatorClient } from '@kasane/protocol/client';

export async function workers(options: ClientOptions & { readonly json?: boolean }): Promise<void> {
  const client = new CoordinatorClient(options);
  const { workers: list } = await client.status().finally(() => client.close());
  if (options.json) {
    process.stdout.write(`${JSON.stringify(list)}\n`);
    return;
  }
  if (list.length === 0) {
    process.stderr.write(`no workers are connected: kasane worker --coordinator ${options.coordinator}\n`);
    return;
  }
  const table = [
    ['WORKER', 'HOST', 'BACKEND', 'SLOTS', 'DONE', 'HELD', 'SINCE'],
    ...list.map((worker) => [
      worker.id,
      worker.host,
      worker.backend,
      String(worker.slots),
      String(worker.tasksDone),
      worker.draining ? `${worker.tasksHeld}, draining` : String(worker.tasksHeld),
      new Date(worker.connectedAt).toISOString().replace('T', ' ').slice(0, 19),
    ]),
  ];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  for (const row of table) {
    process.stdout.write(
      `${row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd()}\n`,
    );
  }
}
