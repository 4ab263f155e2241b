/** `kasane train --dry-run`: the checks of a training without one. */
import { checkWhole } from '@kasane/coordinator/internal/submit/job-checks';
import { planOf } from '@kasane/coordinator/internal/submit/job-plan';
import { loadData } from '@kasane/coordinator/internal/submit/load-data';
import { anywhere } from '@kasane/data/internal/files/access';
import { type GivenOptions, jobOf } from '../../files/read-job.ts';
import { out } from '../../output/say.ts';
import { planLines, planRecord } from '../../render/job-plan.ts';

/** @throws KasaneError NO_INPUT, JOB_INVALID, DATA_INVALID, LIMIT */
export async function dryRun(
  jobOrPreset: string,
  options: GivenOptions & { readonly backend: string; readonly json?: boolean },
): Promise<void> {
  const job = await jobOf(jobOrPreset, options);
  const data = await loadData(job, anywhere);
  const plan = planOf(job, await checkWhole(job, data, anywhere, [options.backend]));
  out.lines(...(options.json ? [JSON.stringify(planRecord(job, plan))] : planLines(job, plan)));
}
