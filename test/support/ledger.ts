/** Promise 2, read from the ledger: every sample of every epoch counted once. */
import { crc32 } from 'node:zlib';
import type { LedgerRow } from '@kasane/coordinator/internal/store/ledger-rows';
import { JobStore } from '@kasane/coordinator/internal/store/store';
import { epochPermutation } from '@kasane/data/shuffle';

/** Who computed which samples of a job, read beside a coordinator that may run. @param state its folder */
export function ledgerOf(state: string, job: string): LedgerRow[] {
  const store = new JobStore(state);
  try {
    return store.ledger(job);
  } finally {
    store.close();
  }
}

/** What is wrong with a ledger; nothing when each of `samples` counted once in each of `epochs`. */
export function faultsOfLedger(
  ledger: readonly LedgerRow[],
  { samples, epochs, seed }: { samples: number; epochs: number; seed: number },
): string[] {
  const faults: string[] = [];
  for (let epoch = 0; epoch < epochs; epoch++) {
    const permutation = epochPermutation(samples, seed, epoch);
    if (new Set(permutation).size !== samples) faults.push(`epoch ${epoch} does not have every sample`);
    let reached = 0;
    for (const row of ledger.filter((entry) => entry.epoch === epoch)) {
      const where = `epoch ${epoch}, step ${row.step}, shard ${row.shard}`;
      if (row.first !== reached) faults.push(`${where}: begins at ${row.first}, not at ${reached}`);
      reached = row.first + row.count;
      // What the worker says it used is what it was to use.
      const indices = permutation.slice(row.first, reached);
      if (row.samplesDigest !== crc32(new Uint8Array(indices.buffer))) faults.push(`${where}: other samples`);
    }
    if (reached !== samples) faults.push(`epoch ${epoch}: ${reached} samples of ${samples} counted`);
  }
  return faults;
}
