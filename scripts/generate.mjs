// Generates packages/protocol/src/gen: from proto/ TypeScript types and services (ts-proto) and the descriptor set that gRPC
// reflection serves, and what job files need of zod in one file. Runs after every install; quick, and safe to repeat.
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
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
bundleZod();

/**
 * gen/zod.js is the part of zod that this list names. Each of zod's own entries loads 95 modules, 63 of them messages in other languages, which
 * takes 50 ms in every process of `kasane train`; one file takes 4. A schema that uses what the list lacks does not compile.
 */
function bundleZod() {
  const values =
    'array boolean custom discriminatedUnion enum int literal looseObject number object record strictObject string ' +
    'toJSONSchema tuple union unknown ZodLiteral';
  const exported = `export { ${values.replaceAll(' ', ', ')} } from 'zod';\n`;
  const protocol = join(root, 'packages/protocol');
  const { buildSync } = createRequire(join(protocol, 'package.json'))('esbuild');
  buildSync({
    stdin: { contents: exported, resolveDir: protocol },
    outfile: join(out, 'zod.js'),
    bundle: true,
    format: 'esm',
    platform: 'neutral',
    // Published with it.
    banner: { js: '/*! zod, MIT License, Copyright (c) 2025 Colin McDonnell */' },
    logLevel: 'warning',
  });
  writeFileSync(join(out, 'zod.d.ts'), `${exported}export type * from 'zod';\n`);
}
