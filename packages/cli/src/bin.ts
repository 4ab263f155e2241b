#!/usr/bin/env node
/** What npm installs as `kasane`. Says when Node is too old, before anything is loaded that an old one cannot load. */
import { readFileSync } from 'node:fs';

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  engines: { node: string };
};
const numbers = (version: string) => version.match(/\d+/g)!.map(Number);
const [major, minor] = numbers(process.versions.node) as [number, number];
const [oldestMajor, oldestMinor] = numbers(manifest.engines.node) as [number, number];

if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor)) {
  const right = `install Node ${oldestMajor}.${oldestMinor} or later (https://nodejs.org)`;
  process.stderr.write(`kasane: Node ${process.versions.node} is too old: ${right}\n`);
  process.exitCode = 69;
} else {
  await import('./main.ts');
}
