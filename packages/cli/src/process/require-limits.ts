/** What this process may use, looked at before a local cluster starts. */
import { requireAddressSpace } from './address-space.ts';
import { requireFileSize } from './file-size.ts';
import { requireOpenFiles } from './open-files.ts';

/** @param workers processes that it starts @throws KasaneError LIMIT where one of the system's limits is too low */
export function requireLimits(workers: number): void {
  requireOpenFiles(workers);
  requireAddressSpace();
  requireFileSize();
}
