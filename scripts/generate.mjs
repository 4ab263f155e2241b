// Generates packages/protocol/src/gen from proto/: TypeScript types and services (ts-proto), and the descriptor set
// that gRPC reflection serves. Runs after every install; quick, and safe to repeat.
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const proto = join(root, 'proto');
const out = join(root, 'packages/protocol/src/gen');
const bin = join(root, 'node_modules/.bin');
const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` };

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const buf = (...args) =>
  execFileSync(join(bin, 'buf'), args, { cwd: proto, env, stdio: ['ignore', 'ignore', 'inherit'] });
buf('generate');
buf('build', '-o', join(out, 'descriptors.binpb'));
