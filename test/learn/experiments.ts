/** Runs the experiments of "Learn by layers" (docs/learn): the job files of examples/learn as they are, with the data that they name. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { learnFiles } from '@kasane/cli/internal/commands/data/get/learn';
import { jobOf } from '@kasane/cli/internal/files/read-job';
import { Network } from '@kasane/dashboard/internal/page/network';
import type { EpochResult, Job, StepMetrics } from '@kasane/protocol/gen/kasane/v1/jobs';
import { type CleanUp, type TestCluster, temporaryDirectory } from '../support/cluster.ts';
import { checkout } from '../support/image.ts';

/** What is known of an experiment that has run. */
export interface Run {
  readonly job: Job;
  readonly epochs: readonly EpochResult[];
  readonly steps: readonly StepMetrics[];
  readonly network: Network;
}

export class Experiments {
  /** As a checkout: examples, data and .kasane are in it. */
  readonly folder: string;
  /** Where the data is. */
  readonly data: string;
  readonly #cluster: TestCluster;

  constructor(cluster: TestCluster, cleanUp: CleanUp) {
    this.#cluster = cluster;
    this.folder = temporaryDirectory(cleanUp);
    this.data = join(this.folder, 'data/learn');
    cpSync(join(checkout, 'examples'), join(this.folder, 'examples'), { recursive: true });
    mkdirSync(join(this.folder, '.kasane'));
    for (const [name, content] of learnFiles()) {
      const path = join(this.data, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, content);
    }
  }

  /** A file of the data. */
  read(name: string): string {
    return readFileSync(join(this.data, name), 'utf8');
  }

  /** @param changes sections of the job file, such as { training: { seed: 2 } } */
  async run(name: string, changes: Readonly<Record<string, object>> = {}): Promise<Run> {
    const { spec } = await jobOf(join(this.folder, 'examples/learn', `${name}.yaml`));
    const changed = Object.fromEntries(
      Object.entries(changes).map(([section, own]) => [
        section,
        { ...(spec as unknown as Record<string, object>)[section], ...own },
      ]),
    );
    const job = await this.#cluster.run({ ...spec, ...changed });
    if (job.error) throw new Error(`${name}: ${job.error}`);
    const { client } = this.#cluster;
    try {
      const model = await client.model(job.id);
      writeFileSync(join(this.folder, '.kasane', `${spec.name}.safetensors`), model);
      const network = await Network.open(model);
      return { job, epochs: await client.epochs(job.id), steps: await client.metricPoints(job.id), network };
    } finally {
      client.close();
    }
  }
}
