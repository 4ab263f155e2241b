/** The commands that tell about Kasane itself: version and schema. Loads nothing heavy. */
import { availableParallelism } from 'node:os';
import { out } from '../output/say.ts';
import { command, help } from '../program/program.ts';
import { version } from '../program/version.ts';

export function addVersion(): void {
  command('version', 'print the versions of Kasane and its runtime')
    .option('--json', 'print one JSON object')
    .addHelpText('after', help(['kasane version'], ['{ kasane, node, platform, processors }']))
    .action(({ json }) => {
      const { platform, arch, versions } = process;
      const record = {
        kasane: version,
        node: versions.node,
        platform: `${platform} ${arch}`,
        processors: availableParallelism(),
      };
      const line = `kasane ${version}, Node ${record.node}, ${record.platform}, ${record.processors} processors`;
      out.write(`${json ? JSON.stringify(record) : line}\n`);
    });
}

export function addSchema(): void {
  command('schema', 'print the JSON Schema of job files')
    .addHelpText(
      'after',
      help(['kasane schema > job.schema.json    # for validation and completion in editors']),
    )
    .action(async () => {
      const { jobJsonSchema } = await import('@kasane/protocol/job');
      out.write(`${JSON.stringify(jobJsonSchema(), null, 2)}\n`);
    });
}
