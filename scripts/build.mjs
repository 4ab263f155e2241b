// Builds the package in the working directory into dist/: JavaScript and declarations of its sources as they are now, and
// nothing of what they were before. `build.mjs all` builds every package as one program, which takes a third of the time.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
/** What lies beside the modules without being compiled. */
const copied = ['gen/descriptors.binpb', 'gen/zod.js', 'gen/zod.d.ts'];

if (process.argv[2] === 'all') await buildAll();
else await buildPackage(process.cwd());

async function buildPackage(folder) {
  rmSync(join(folder, 'dist'), { recursive: true, force: true });
  compile(folder);
  await finish(folder);
}

async function buildAll() {
  const built = join(root, '.kasane/build');
  rmSync(built, { recursive: true, force: true });
  mkdirSync(built, { recursive: true });
  compile(root);
  for (const name of readdirSync(built)) {
    const folder = join(root, 'packages', name);
    rmSync(join(folder, 'dist'), { recursive: true, force: true });
    renameSync(join(built, name, 'src'), join(folder, 'dist'));
    await finish(folder);
  }
}

function compile(folder) {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  // One thread has half the work of several, each of which looks at the same types.
  const args = [tsc, '-p', join(folder, 'tsconfig.build.json'), '--singleThreaded'];
  execFileSync(process.execPath, args, { stdio: 'inherit' });
}

/** What a package has besides its modules. */
async function finish(folder) {
  for (const name of copied)
    if (existsSync(join(folder, 'src', name))) cpSync(join(folder, 'src', name), join(folder, 'dist', name));
  if (basename(folder) === 'dashboard') await bundleDashboard(folder);
}

/** The page's modules are in its bundle. */
async function bundleDashboard(folder) {
  const { bundlePage } = await import(pathToFileURL(join(folder, 'src/bundle.ts')).href);
  rmSync(join(folder, 'dist/page'), { recursive: true, force: true });
  mkdirSync(join(folder, 'dist/bundle'));
  for (const [name, content] of await bundlePage(false))
    writeFileSync(join(folder, 'dist/bundle', name), content);
}
