#!/usr/bin/env node
/**
 * What npm installs as `kasane`. Says when Node is too old, before anything is loaded that an old one cannot load. Plain
 * JavaScript: from a checkout Node would first load what strips types, which takes longer than `kasane --help`.
 */
import { mkdirSync, readFileSync, rmdirSync, statSync } from 'node:fs';
import module from 'node:module';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
/** @param {string} version */
const numbers = (version) => (version.match(/\d+/g) ?? []).map(Number);
const [major = 0, minor = 0] = numbers(process.versions.node);
const [oldestMajor = 0, oldestMinor = 0] = numbers(manifest.engines.node);

if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor)) {
  const right = `install Node ${oldestMajor}.${oldestMinor} or later (https://nodejs.org)`;
  process.stderr.write(`kasane: Node ${process.versions.node} is too old: ${right}\n`);
  process.exitCode = 69;
} else {
  keepCompiledCode();
  await import('./main.ts');
}

/**
 * Keeps what Node has compiled, and stripped of types, for the next run, for workers and for threads. Node's own variables win: NODE_COMPILE_CACHE
 * names another folder, NODE_DISABLE_COMPILE_CACHE=1 wants none. A folder that can not be written means no cache, and nothing else.
 */
function keepCompiledCode() {
  if (process.env.NODE_DISABLE_COMPILE_CACHE) return;
  // In the user's own folder: what lies there is run, and Node's default, below /tmp, could be anybody's.
  const folder = process.env.NODE_COMPILE_CACHE || ownFolder();
  if (folder === undefined || !takesFolders(folder)) return;
  const { directory } = module.enableCompileCache(folder);
  // Where workers and threads look for it.
  if (directory !== undefined) process.env.NODE_COMPILE_CACHE ||= directory;
}

/**
 * Whether folders can be made in this one, which is made if it is missing. Asked before Node is: its recursive mkdir never returns where the
 * system answers ENOENT for a parent that exists, as in /proc.
 * @param {string} folder
 */
function takesFolders(folder) {
  const trial = join(folder, `.trial-${process.pid}`);
  try {
    makeFolders(folder);
    mkdirSync(trial);
    rmdirSync(trial);
    return true;
  } catch {
    return false;
  }
}

/**
 * As make-folders.ts, which is TypeScript.
 * @param {string} path
 */
function makeFolders(path) {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  if (dirname(path) !== path) makeFolders(dirname(path));
  try {
    mkdirSync(path);
  } catch (error) {
    // Another process was faster.
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error;
  }
}

/** As `userFolder` of the data package says, which is not loaded yet: values that are no absolute paths count as none. */
function ownFolder() {
  const said = process.env.XDG_CACHE_HOME ?? '';
  if (isAbsolute(said)) return join(said, 'kasane', 'compiled');
  try {
    const home = homedir();
    return isAbsolute(home) ? join(home, '.cache', 'kasane', 'compiled') : undefined;
  } catch {
    // A user whom the machine does not know.
    return undefined;
  }
}
