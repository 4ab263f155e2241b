/** `pnpm bench NAME [options]`: runs one benchmark; without a name, says which there are. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && !['run.ts', 'rows.ts'].includes(file))
  .map((file) => file.slice(0, -'.ts'.length));
const [name, ...options] = process.argv.slice(2);
if (name && names.includes(name)) {
  process.argv.splice(1, 2, join(import.meta.dirname, `${name}.ts`));
  await import(`./${name}.ts`);
} else {
  if (name) console.error(`there is no benchmark '${name}'`);
  console.error(`Usage: pnpm bench NAME [options], where NAME is one of: ${names.join(', ')}`);
  process.exitCode = name || options.length > 0 ? 2 : 0;
}
