// Builds the package in the working directory into dist/: JavaScript and declarations of its sources as they are now, and
// nothing of what they were before.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const tsc = join(dirname(fileURLToPath(import.meta.url)), '../node_modules/typescript/bin/tsc');
/** Read at run time, beside the modules. */
const data = 'gen/descriptors.binpb';

rmSync('dist', { recursive: true, force: true });
// One thread has half the work of several, each of which looks at the same types.
execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--singleThreaded'], { stdio: 'inherit' });
if (existsSync(join('src', data))) cpSync(join('src', data), join('dist', data));
