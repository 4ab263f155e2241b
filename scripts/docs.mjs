// `npm run docs`: generates docs/reference from the code, then builds the site into docs/.vitepress/dist. A dead link fails it.
// `npm run docs -- dev` serves it while you write.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { nodeBinary, root, setUp } from './setup.mjs';

setUp();

const run = (...args) => spawnSync(nodeBinary, args, { cwd: root, stdio: 'inherit' }).status ?? 1;
const vitepress = join(root, 'node_modules/vitepress/bin/vitepress.js');
const [verb = 'build'] = process.argv.slice(2);
process.exitCode = run(join(root, 'scripts/reference.ts')) || run(vitepress, verb, 'docs');
