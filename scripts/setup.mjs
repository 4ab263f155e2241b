// Makes a checkout ready to run: installs the dependencies (with them Node 24) and generates the gRPC types, when they are
// missing or what they follow from has changed. Any Node that can run this file may run it, so its syntax stays old.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const OLDEST_NODE = 20;

export const root = join(dirname(fileURLToPath(import.meta.url)), '..');
/** The real program, not a shim: a signal sent to it arrives. */
export const nodeBinary = join(root, 'node_modules/node/bin/node');

const stampFile = join(root, 'node_modules/.kasane-setup');
const lockFile = join(root, '.kasane/setup.lock');
const generated = join(root, 'packages/protocol/src/gen/descriptors.binpb');

/** Returns when the checkout is ready; ends the process with one line of explanation when it can not be made so. */
export function setUp() {
  if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
    fail(`Node ${OLDEST_NODE} or later is needed to set Kasane up; this is ${process.version}`);
  }
  if (isReady()) return;
  const release = lock();
  try {
    // Another process may have set it up while this one waited.
    if (!isReady()) install();
  } finally {
    release();
  }
}

function isReady() {
  if (!existsSync(nodeBinary) || !existsSync(generated) || !existsSync(stampFile)) return false;
  return readFileSync(stampFile, 'utf8') === stamp();
}

function install() {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  process.stderr.write('Setting up (first run, about 20 s) ...\n');
  const env = Object.assign({}, process.env, {
    // npm start runs with loglevel=silent, which would hide why a download fails.
    npm_config_loglevel: 'error',
    // Lets pnpm replace a node_modules made by something else without asking.
    CI: 'true',
  });
  // Would leave out the development dependencies, Node 24 among them.
  delete env.NODE_ENV;
  delete env.npm_config_omit;
  delete env.npm_config_production;
  const pnpm = `pnpm@${manifest.config.pnpm}`;
  const args = ['-y', pnpm, 'install', '--frozen-lockfile', '--prod=false'];
  const result = spawnSync('npx', args, {
    cwd: root,
    env,
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  const output = `${result.stdout || ''}${result.stderr || ''}`;
  if (result.error) fail(`npx could not be started (${result.error.message}); it comes with npm`);
  if (result.status !== 0) {
    process.stderr.write(output);
    fail(`'npx ${args.join(' ')}' failed in ${root}; the output above says why`);
  }
  for (const file of [nodeBinary, generated]) {
    if (existsSync(file)) continue;
    process.stderr.write(output);
    fail(
      `${relative(root, file)} is not there after the installation: install scripts must be allowed to run`,
    );
  }
  writeFileSync(stampFile, stamp());
}

/** Digest of everything that the installed and generated files follow from. */
function stamp() {
  const folders = ['test', 'bench', 'examples/bull-board', 'examples/own-data', 'examples/own-model'].map(
    (name) => join(root, name),
  );
  const manifests = folders
    .concat(readdirSync(join(root, 'packages')).map((name) => join(root, 'packages', name)))
    .map((folder) => join(folder, 'package.json'));
  const files = ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml', 'scripts/generate.mjs']
    .map((name) => join(root, name))
    .concat(manifests, filesBelow(join(root, 'proto')));
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}\n`);
  for (const file of files.sort()) {
    if (existsSync(file)) hash.update(`${relative(root, file)}\n`).update(readFileSync(file));
  }
  return hash.digest('hex');
}

function filesBelow(folder) {
  const found = [];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) found.push(...filesBelow(path));
    else found.push(path);
  }
  return found;
}

/** One process installs at a time. The lock names its holder, so that one left by a killed process is taken over. */
function lock() {
  mkdirSync(dirname(lockFile), { recursive: true });
  for (;;) {
    try {
      const file = openSync(lockFile, 'wx');
      writeFileSync(file, String(process.pid));
      closeSync(file);
      return () => rmSync(lockFile, { force: true });
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    if (!holderLives()) rmSync(lockFile, { force: true });
  }
}

function holderLives() {
  try {
    process.kill(Number(readFileSync(lockFile, 'utf8')), 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function fail(message) {
  process.stderr.write(`error: ${message}\n`);
  process.exit(1);
}
