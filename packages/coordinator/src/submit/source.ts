/** Where a job file comes from, as a client says it: kept with the job, and not checked. */
import type { Source } from '@kasane/protocol/gen/kasane/v1/jobs';
import { SOURCE_FILE, SOURCE_TEXT } from '@kasane/protocol/limits';

/** What is kept, JSON; empty where nothing was said. */
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
