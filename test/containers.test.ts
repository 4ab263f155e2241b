/**
 * Several machines, for real: Redis, the coordinator and two workers in four containers on a private network, each with
 * an address and a file system of its own, reach the weights of a cluster on one machine, bit for bit.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CoordinatorClient } from '@kasane/protocol/client';
import { jobPresets } from '@kasane/protocol/internal/job/presets';
import { GenericContainer, Network, type StartedTestContainer, Wait } from 'testcontainers';
import { afterAll, expect, it } from 'vitest';
import { CleanUp, temporaryDirectory } from './support/cluster.ts';
import { main } from './support/commands.ts';
import { checkout, makeImage, redisOfImage } from './support/image.ts';
import { needing } from './support/needs.ts';

const run = promisify(execFile);
const token = 'a-token-of-the-test';
/** What a container may write to; not /tmp, where the checkout may be. */
const scratch = '/scratch';
const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

it(
  'four containers train MNIST to the weights of one machine',
  needing(['docker', 'tar', 'ldd']),
  async () => {
    const redis = await redisOfImage();
    const image = await makeImage('kasane-test:local');
    const network = await new Network().start();
    cleanUp.add(() => network.stop());
    const start = async (name: string, command: string[], log: RegExp, port?: number) => {
      const container = new GenericContainer(image)
        .withNetwork(network)
        .withNetworkAliases(name)
        .withBindMounts([{ source: checkout, target: checkout, mode: 'ro' }])
        .withTmpFs({ [scratch]: 'rw' })
        .withEnvironment({ HOME: scratch, TMPDIR: scratch, KASANE_TOKEN: token })
        .withCommand(command)
        .withWaitStrategy(Wait.forLogMessage(log));
      const started = await (port ? container.withExposedPorts(port) : container).start();
      cleanUp.add(() => started.stop({ timeout: 5_000 }));
      return started;
    };
    const kasane = (
      name: string,
      options: string[],
      log: RegExp,
      port?: number,
    ): Promise<StartedTestContainer> => start(name, [process.execPath, main, ...options], log, port);

    await start(
      'redis',
      [...redis.command('server'), '--protected-mode', 'no', '--save', ''],
      /Ready to accept/,
    );
    const listen = ['--host', '0.0.0.0', '--port', '7420', '--state', `${scratch}/state`];
    const options = ['coordinator', ...listen, '--redis', 'redis://redis:6379'];
    const coordinator = await kasane('coordinator', options, /kasane worker --coordinator/, 7420);
    for (const name of ['worker-1', 'worker-2'])
      await kasane(name, ['worker', '--coordinator', 'coordinator:7420', '--slots', '1'], /connected to/);

    const address = `${coordinator.getHost()}:${coordinator.getMappedPort(7420)}`;
    const env = { ...process.env, KASANE_TOKEN: token, KASANE_COORDINATOR: address };
    const folder = temporaryDirectory(cleanUp);
    const [file, out] = [join(folder, 'job.json'), join(folder, 'model.safetensors')];
    const mlp = jobPresets['mnist-mlp']!;
    writeFileSync(file, JSON.stringify({ ...mlp, training: { ...mlp.training, epochs: 3 } }));
    const { stdout } = await run(process.execPath, [main, 'submit', file], { env });
    const client = new CoordinatorClient({ coordinator: address, token });
    cleanUp.add(() => client.close());
    const id = stdout.trim();
    for await (const _ of client.watch(id));
    const job = await client.get(id);
    expect(job).toMatchObject({ error: '', workers: 2 });
    expect(job.history.at(-1)?.testMetric).toBeGreaterThanOrEqual(0.97);
    expect(
      createHash('sha256')
        .update(await client.model(id))
        .digest('hex'),
    ).toBe(job.digest);

    const embedded = await run(process.execPath, [main, 'train', file, '--json', '--out', out]);
    expect(JSON.parse(embedded.stdout).digest).toBe(job.digest);
  },
);
