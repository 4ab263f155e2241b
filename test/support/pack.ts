/** The tarballs that would be published, packed from this checkout. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { checkout } from './image.ts';

const run = promisify(execFile);

/** Builds and packs every package. @returns paths of the tarballs, by name of the package without its scope */
export async function packAll(folder: string): Promise<Map<string, string>> {
  const { config } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as {
    config: { pnpm: string };
  };
  // What each package's prepack would build, but as one program: test/guide.test.ts packs one as it is published.
  await run(process.execPath, [join(checkout, 'scripts/build.mjs'), 'all'], { cwd: checkout });
  const options = ['--config.ignore-scripts=true', '--pack-destination', folder];
  const pack = ['-r', '--filter', './packages/*', 'pack', ...options];
  await run('npx', ['-y', `pnpm@${config.pnpm}`, ...pack], { cwd: checkout, maxBuffer: 16 << 20 });
  const files = readdirSync(folder).filter((file) => file.endsWith('.tgz'));
  return new Map(files.map((file) => [/^kasane-([a-z]+)-/.exec(file)![1]!, join(folder, file)]));
}
