/** Job files that extend others: what is merged, which file a fault is in, and what is refused. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseJobFile } from '@kasane/protocol/job-file';
import { EXTENDED_FILES } from '@kasane/protocol/limits';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CleanUp, temporaryDirectory } from '../../../test/support/cluster.ts';
import { jobOf } from '../src/files/read-job.ts';
import { readSweep } from '../src/files/read-sweep.ts';
import { kasane } from './support/kasane.ts';

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());
const folder = temporaryDirectory(cleanUp);
const file = (name: string) => join(folder, name);
const put = (name: string, text: string) => {
  writeFileSync(file(name), text);
  return file(name);
};
beforeAll(() => {
  mkdirSync(file('shared/data'), { recursive: true });
  put('shared/data/rows.csv', 'a,b\n1,0\n2,1\n3,0\n4,1\n');
  put(
    'shared/base.yaml',
    `name: base
model: { input: [1], classes: 2, layers: [{ type: dense, units: 8 }, { type: relu }, { type: dense, units: 2 }] }
data: { format: csv, path: data/rows.csv, target: b }
training:
  epochs: 3
  batch: 4
  clipNorm: 1
  optimizer: { type: adamw, weightDecay: 0.1 }
`,
  );
});
const refused = (job: Promise<unknown>, message: string | RegExp) => expect(job).rejects.toThrow(message);

it('merges key by key, replaces lists, drops what is null, and takes paths from the folder of each file', async () => {
  const short = 'model: { layers: [{ type: dense, units: 2 }] }';
  put('shared/middle.yaml', `extends: base.yaml\nname: middle\n${short}\ntraining: { epochs: 5 }\n`);
  const own = put(
    'own.yaml',
    'extends: shared/middle.yaml\nname: own\ntraining: { batch: 2, clipNorm: null, optimizer: { weightDecay: 0.2 } }\n',
  );
  const { spec, model } = await jobOf(own);
  expect(spec).toMatchObject({ name: 'own', data: { path: file('shared/data/rows.csv'), target: 'b' } });
  expect(spec.training).toMatchObject({
    epochs: 5,
    batch: 2,
    optimizer: { type: 'adamw', weightDecay: 0.2 },
  });
  expect(spec.training.clipNorm).toBeUndefined();
  expect(model.description.layers).toHaveLength(1);
  // What is sent has all of it, and a coordinator that is sent the file itself says what to do.
  expect(parseJobFile(JSON.stringify(spec), 'sent').spec).toEqual(spec);
  expect(() => parseJobFile('extends: base.yaml\n', 'job file')).toThrow(
    'job file:1: extends: a coordinator reads no other files; submit the job with `kasane submit`',
  );
  expect((await jobOf(own, { epochs: 9 })).spec.training.epochs).toBe(9);
});

it('extends presets, and sweeps extend jobs', async () => {
  const preset = put('preset.yaml', 'extends: mnist-mlp\ntraining: { epochs: 1 }\n');
  const { spec } = await jobOf(preset);
  expect(spec).toMatchObject({ name: 'mnist-mlp', training: { epochs: 1, batch: 512, learningRate: 0.01 } });
  put(
    'shared/search.yaml',
    'extends: base.yaml\ndata: { test: data/rows.csv }\nsearch: { parameters: { data.path: { choices: [data/rows.csv] } } }\n',
  );
  const sweep = put('sweep.yaml', 'extends: shared/search.yaml\nname: swept\nsearch: { trials: 1 }\n');
  const { base, search, name } = await readSweep(sweep);
  expect(name).toBe('swept');
  expect(base).toMatchObject({ data: { path: file('shared/data/rows.csv') } });
  expect(search.parameters['data.path']).toEqual({ choices: [file('shared/data/rows.csv')] });
});

it('names the file and the line of what is wrong', async () => {
  const wrong = (name: string, text: string, message: string | RegExp) =>
    refused(jobOf(put(name, text)), message);
  put('shared/typo.yaml', 'extends: base.yaml\n\ntraining:\n  epochs: 2\n  btach: 3\n');
  await wrong(
    'a.yaml',
    'name: a\nextends: shared/typo.yaml\n',
    `${file('shared/typo.yaml')}:5: training.btach: unknown key`,
  );
  await wrong(
    'b.yaml',
    'extends: shared/base.yaml\ntraining:\n  epochs: none\n',
    `${file('b.yaml')}:3: training.epochs`,
  );
  // The key stands in the base, and does not go with the type that wins.
  await wrong(
    'c.yaml',
    'extends: shared/base.yaml\ntraining: { optimizer: { type: adagrad } }\n',
    /(base|c)\.yaml:\d+: training\.optimizer/,
  );
  await wrong(
    'd.yaml',
    'name: d\nextends: shared/bse.yaml\n',
    `${file('d.yaml')}:2: extends: ${file('shared/bse.yaml')}: file not found (\`kasane init\` creates job files)`,
  );
  await wrong('e.yaml', 'extends: mnist-mpl\n', /e\.yaml:1: extends: .*mnist-mpl: no such file or preset/);
  await wrong(
    'f.yaml',
    'extends: [a.yaml]\n',
    `${file('f.yaml')}:1: extends: expected the path of a job file, or the name of a preset`,
  );
  put('shared/list.yaml', '- 1\n');
  await wrong('g.yaml', 'extends: shared/list.yaml\n', /g\.yaml:1: extends: .*list\.yaml is not a job file/);
  put('shared/broken.yaml', 'name: [\n');
  await wrong('h.yaml', 'extends: shared/broken.yaml\n', /shared\/broken\.yaml:\d: /);
});

it('refuses circles with their path, and long chains', async () => {
  put('one.yaml', 'extends: ./two.yaml\n');
  put('two.yaml', 'name: two\nextends: one.yaml\n');
  const [one, two] = [file('one.yaml'), file('two.yaml')];
  await refused(jobOf(one), `${two}:2: extends: the files extend each other: ${one} -> ${two} -> ${one}`);
  await refused(jobOf(put('self.yaml', 'extends: self.yaml\n')), 'the files extend each other');
  for (let i = 0; i <= EXTENDED_FILES + 1; i++) put(`chain-${i}.yaml`, `extends: chain-${i + 1}.yaml\n`);
  await refused(
    jobOf(file('chain-0.yaml')),
    `more than ${EXTENDED_FILES} files extend each other, which is the limit`,
  );
});

it('is the same for a dry run', { timeout: 60_000 }, async () => {
  put('dry.yaml', 'extends: shared/base.yaml\nname: dry\n');
  const { stdout, stderr, code } = await kasane(['train', 'dry.yaml', '--dry-run', '--json'], {
    cwd: folder,
  });
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  expect(JSON.parse(stdout)).toMatchObject({ name: 'dry', trainingSamples: expect.any(Number) });
});
