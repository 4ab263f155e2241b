// `npm run docs`: generates docs/reference from the code, then builds the site into docs/.vitepress/dist. A dead link fails it.
// `npm run docs -- dev` serves it while you write.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodeBinary, root, setUp } from './setup.mjs';

setUp();

const run = (...args) => spawnSync(nodeBinary, args, { cwd: root, stdio: 'inherit' }).status ?? 1;
const vitepress = join(root, 'node_modules/vitepress/bin/vitepress.js');
const [verb = 'build'] = process.argv.slice(2);
process.exitCode =
  run(join(root, 'scripts/reference.ts')) ||
  describeApi('tensor') ||
  describeApi('client') ||
  run(vitepress, verb, 'docs');

/** Writes docs/reference/api/NAME: a page for each public module of a package. */
function describeApi(name) {
  const folder = join(root, 'packages', name);
  const { exports } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const modules = Object.values(exports).filter((path) => !path.includes('*'));
  return run(
    join(root, 'docs/node_modules/typedoc/bin/typedoc'),
    ...['--options', join(root, 'docs/typedoc.json'), '--name', `@kasane/${name}`],
    ...['--tsconfig', join(folder, 'tsconfig.build.json'), '--basePath', join(folder, 'src')],
    ...['--out', join(root, 'docs/reference/api', name)],
    ...modules.map((path) => join(folder, path)),
  );
}
