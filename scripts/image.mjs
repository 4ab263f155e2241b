// `npm run image`: builds the container image `kasane` from this checkout. Arguments go to `docker build`, such as
// `-- --tag registry.example/kasane:1` or `-- --build-arg NODE_IMAGE=...`.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { nodeBinary, root, setUp } from './setup.mjs';

setUp();

const { config } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const context = mkdtempSync(join(tmpdir(), 'kasane-image-'));
const path = `${join(root, 'node_modules/.bin')}${delimiter}${process.env.PATH}`;
const env = Object.assign({}, process.env, { PATH: path });
const run = (command, args) => {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (error) process.stderr.write(`error: ${command} could not be started: ${error.message}\n`);
  return status === 0;
};
try {
  // Built as one program, and so not again by each package's prepack.
  const options = ['--config.ignore-scripts=true', '--pack-destination', context];
  const pack = ['-r', '--filter', './packages/*', 'pack', ...options];
  const given = process.argv.slice(2);
  const tag = given.some((argument) => /^(-t|--tag)\b/.test(argument)) ? [] : ['--tag', 'kasane'];
  process.stderr.write('Packing, then building the image (a minute or two) ...\n');
  cpSync(join(root, 'Dockerfile'), join(context, 'Dockerfile'));
  const built =
    run(nodeBinary, [join(root, 'scripts/build.mjs'), 'all']) &&
    run('npx', ['-y', `pnpm@${config.pnpm}`, ...pack]) &&
    run('docker', ['build', ...tag, ...given, context]);
  if (built) process.stderr.write(`Built ${tag[1] || 'it'}: docker run --rm ${tag[1] || 'IMAGE'} --help\n`);
  process.exitCode = built ? 0 : 1;
} finally {
  rmSync(context, { recursive: true, force: true });
}
