/** Jobs that programs write: what is run, where its paths lead, and what is refused in plain words. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { CleanUp, temporaryDirectory } from '../../../test/support/cluster.ts';
import { jobOf } from '../src/files/read-job.ts';
import { readSweep } from '../src/files/read-sweep.ts';
import { kasane } from './support/kasane.ts';

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());
const folder = temporaryDirectory(cleanUp);
let files = 0;
const put = (text: string, extension = 'ts') => {
  const path = join(folder, `my program ${++files}.${extension}`);
  writeFileSync(path, text);
  return path;
};
writeFileSync(join(folder, 'rows.csv'), 'a,b\n1,0\n2,1\n3,0\n4,1\n');

const model = `{ input: [1], classes: 2, layers: [{ type: 'dense', units: 2 }] }`;
const job = `{ name: 'mine', model: ${model}, data: { format: 'csv', path: 'rows.csv', target: 'b' }, training: { batch: 4 } }`;

it.each(['ts', 'mts', 'js', 'mjs'])('a job in a .%s file', async (extension) => {
  const path = put(`const job = ${job};\nexport default job;\n`, extension);
  const { spec } = await jobOf(path, { epochs: 3 });
  expect(spec).toMatchObject({
    name: 'mine',
    data: { path: join(folder, 'rows.csv') },
    training: { epochs: 3 },
  });
});

it('types are TypeScript', async () => {
  const { spec } = await jobOf(
    put(`interface Own { name: string }\nconst job: Own & object = ${job};\nexport default job;\n`),
  );
  expect(spec.name).toBe('mine');
});

it('a model alone is a job of its name', async () => {
  const { spec } = await jobOf(put(`export default ${model};\n`));
  expect(spec.name).toMatch(/^my-program-\d+$/);
  expect(spec.data.format).toBe('idx');
});

it('a sweep', async () => {
  const search = `search: { sampler: 'grid', parameters: { 'training.batch': { choices: [2, 4] } } }`;
  const { base } = await readSweep(put(`export default { ...${job}, ${search} };\n`));
  expect(base).toMatchObject({ data: { path: join(folder, 'rows.csv') } });
});

it.each([
  ['throws', `const x = 1;\nthrow new Error('no\\nluck');`, /my program \d+\.ts:2: it failed: no luck$/],
  ['throws no error', `throw null;`, /my program \d+\.ts: it failed: it threw null, not an Error$/],
  [
    'rejects',
    `Promise.reject(new Error('no luck'));\nexport default ${job};`,
    /my program \d+\.ts:1: it failed: no luck$/,
  ],
  ['cannot be parsed', `const x = 1;\nexport default { a: ;`, /my program \d+\.ts:2: it failed: /],
  [
    'has an enum',
    `enum A { B }\nexport default ${job};`,
    /my program \d+\.ts:1: it failed: .* Node only strips types/,
  ],
  [
    'ends the process',
    `process.exit(0);`,
    /it ended \(exit code 0\) before it exported a job: remove process\.exit$/,
  ],
  ['waits for ever', `await new Promise(() => {});`, /its top-level `await` never finishes$/],
  ['extends', `export default { extends: 'xor', name: 'x' };`, /extends: a program writes the whole job/],
  [
    'exports nothing',
    `const x = 1;\n`,
    /my program \d+\.ts: it exports nothing; export a job: `export default/,
  ],
  [
    'exports by name only',
    `export const job = ${job};\n`,
    /it exports job, but nothing by default; export a job/,
  ],
  ['exports a function', `export default () => 1;\n`, /its default export is a function; export a job/],
  [
    'exports what is no job',
    `export default { name: 'x', modl: 1 };\n`,
    /my program \d+\.ts: modl: unknown key/,
  ],
  [
    'exports what is no data',
    `export default { name: 'x', model: 1n };\n`,
    /my program \d+\.ts: model: it is a bigint; a job is data$/,
  ],
  [
    'lacks packages',
    `import '@kasane/absent';\nexport default ${job};\n`,
    /it imports @kasane\/absent, which is not installed there: run `npm install @kasane\/client @kasane\/tensor` in its folder/,
  ],
])('a file that %s', async (_, text, message) => {
  await expect(jobOf(put(text))).rejects.toMatchObject({
    code: 'JOB_INVALID',
    message: expect.stringMatching(message),
  });
});

it.each([
  ['new Map([["epochs", 3]])', /training: it is a Map; expected keys with values/],
  ['{ epochs: () => 3 }', /training\.epochs: it is a function; a job is data$/],
  ['{ learningRate: 0 / 0 }', /training\.learningRate: it is NaN; expected a finite number$/],
  ['{ epochs: Promise.resolve(3) }', /training\.epochs: it is a Promise; /],
  ['new Int32Array(2)', /training: it is an Int32Array; expected a list: \[\.\.\.values\]$/],
  ['(function () { const a = {}; return (a.a = a); })()', /training\.a: it contains itself/],
])('a job that is no data: training is %s', async (training, message) => {
  const path = put(`export default { ...${job}, training: ${training} };`);
  await expect(jobOf(path)).rejects.toMatchObject({
    code: 'JOB_INVALID',
    message: expect.stringMatching(message),
  });
});

it('what a program does besides is not in the way', async () => {
  const busy = put(`setInterval(() => {}, 1000);\nprocess.exitCode = 5;\nexport default ${job};\n`);
  expect((await jobOf(busy)).spec.name).toBe('mine');
  expect(process.exitCode).not.toBe(5);
  const later = put(`export default (async () => (${job}))();\n`);
  expect((await jobOf(later)).spec.name).toBe('mine');
  const compiled = put(`exports.__esModule = true;\nexports.default = ${job};\n`, 'cjs');
  expect((await jobOf(compiled)).spec.name).toBe('mine');
});

it('what a program prints is no part of --json', async () => {
  const chatty = put(`console.log('good morning');\nexport default ${job};\n`);
  const { stdout, stderr } = await kasane(['train', chatty, '--dry-run', '--json']);
  expect(JSON.parse(stdout)).toMatchObject({ name: 'mine' });
  expect(stderr).toContain('good morning');
});

it('a file with JSX', async () => {
  await expect(jobOf(put('export default <div/>', 'tsx'))).rejects.toThrow(
    /my program \d+\.tsx: Node does not run files with JSX; rename it to .*\.ts$/,
  );
});

it('a file that is not there', async () => {
  await expect(jobOf(join(folder, 'absent.ts'))).rejects.toMatchObject({ code: 'NO_INPUT' });
});
