/** Where a job file comes from, as stated by the client: stored with the job, unchecked. */
import { Source } from '@kasane/protocol/gen/kasane/v1/jobs';
import { SOURCE_FILE, SOURCE_TEXT } from '@kasane/protocol/limits';
import type { JobRecord } from '../store/job-record.ts';
import type { JobStore } from '../store/store.ts';

/** The stored form, JSON; empty if nothing was stated. */
export function keptSource(source: Source | undefined): string {
  if (!source) return '';
  const { file, revision, dirty, kasane } = source;
  const kept: Source = {
    file: file.slice(0, SOURCE_FILE),
    revision: revision.slice(0, SOURCE_TEXT),
    dirty,
    kasane: kasane.slice(0, SOURCE_TEXT),
  };
  return JSON.stringify(kept);
}

/** Where the file of a job came from, or of its sweep if it is a trial; undefined if unknown. */
export function sourceOf(
  { source, sweep }: Pick<JobRecord, 'source' | 'sweep'>,
  { sweeps }: Pick<JobStore, 'sweeps'>,
): Source | undefined {
  const kept = source || (sweep === '' ? undefined : sweeps.get(sweep)?.source);
  return kept ? Source.fromPartial(JSON.parse(kept) as Source) : undefined;
}
