/** `kasane backup`: the state of a coordinator, copied while it runs. */
import { resolve } from 'node:path';
import { backUp } from '@kasane/coordinator/internal/store/backup';
import { err, out } from '../../output/say.ts';
import { stateFolder } from '../../program/options.ts';
import { byteSize, count } from '../../render/count.ts';

export interface BackupOptions {
  readonly state?: string;
  readonly json?: boolean;
}

export async function backup(target: string, options: BackupOptions): Promise<void> {
  const folder = resolve(target);
  const { jobs, files, bytes, missing } = await backUp(stateFolder(options.state), folder);
  if (options.json) {
    out.write(`${JSON.stringify({ folder, jobs, files, bytes, missing })}\n`);
    return;
  }
  for (const file of missing)
    err.write(`kasane: ${file} is missing; its job continues from the previous checkpoint\n`);
  out.write(
    `${count(jobs, 'job')}, ${files} checkpoints and weights, ${byteSize(bytes)}; continue from it with\n` +
      `  kasane coordinator --state ${folder}\n`,
  );
}
