#!/usr/bin/env node
/**
 * What npm installs as `kasane`. Says when Node is too old, before anything is loaded that an old one cannot load. Plain
 * JavaScript: from a checkout Node would first load what strips types, which takes longer than `kasane --help`.
 */
import { readFileSync } from 'node:fs';
import module from 'node:module';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

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
  // In the user's own folder: what lies there is run, and Node's default, below /tmp, could be anybody's.
  const folder = process.env.NODE_COMPILE_CACHE || ownFolder();
  if (folder === undefined) return;
  const { directory } = module.enableCompileCache(folder);
  // Where workers and threads look for it.
  if (directory !== undefined) process.env.NODE_COMPILE_CACHE ||= directory;
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
