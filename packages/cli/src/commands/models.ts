/** `kasane models`: which presets there are, and what a model consists of. */
import { checkJob } from '@kasane/protocol/job';
import { jobPresets } from '@kasane/protocol/presets';
import { presets } from '@kasane/tensor/models/presets';
import { summarizeLayers, summary } from '@kasane/tensor/nn/summary';
import { readJob } from './train.ts';

export function models(job: string | undefined, { json }: { readonly json?: boolean }): void {
  if (job === undefined) {
    const rows = Object.keys(jobPresets).map((name) => ({ name, summary: presets[name]?.summary ?? '' }));
    const width = Math.max(...rows.map(({ name }) => name.length));
    const lines = rows.map(({ name, summary }) => `${name.padEnd(width)}  ${summary}`);
    process.stdout.write(`${json ? JSON.stringify(rows) : lines.join('\n')}\n`);
    return;
  }
  const { model } = checkJob(readJob(job));
  process.stdout.write(`${json ? JSON.stringify(summarizeLayers(model)) : summary(model)}\n`);
}
