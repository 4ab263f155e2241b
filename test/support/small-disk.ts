/** Disks that fill, for tests that may mount (`needing(['mount'])`). */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type CleanUp, temporaryDirectory } from './cluster.ts';

/** A folder that holds no more. @param size as mount has it: 8k, 20m */
export function smallDisk(cleanUp: CleanUp, size: string): string {
  const disk = join(temporaryDirectory(cleanUp), 'disk');
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'kasane-test', disk]);
  cleanUp.add(() => execFileSync('umount', ['-l', disk]));
  return disk;
}
