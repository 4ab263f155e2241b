/** The sources of all packages, for tests that walk them: what they must and must not say. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const packages = fileURLToPath(new URL('../../packages', import.meta.url));

/** Text by path from packages/, without what is generated. */
export function sources(): Map<string, string> {
  const files = readdirSync(packages).flatMap((name) =>
    readdirSync(join(packages, name, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.(ts|js)$/.test(file) && !file.startsWith('gen/'))
      .map((file) => join(name, 'src', file)),
  );
  return new Map(files.map((file) => [file, readFileSync(join(packages, file), 'utf8')]));
}
