/** Every environment variable that is read is in the typed list, with the odd values that machines have. */
import { expect, it } from 'vitest';
import { sources } from '../../../test/support/sources.ts';
import { variables } from './support/variables.ts';

it('knows every variable that is read', () => {
  const read = [...sources()].flatMap(([, text]) =>
    [
      ...text.matchAll(
        /\benv\.([A-Za-z_]\w*)|\.env\('([A-Z_]+)'\)|FromEnv\('([A-Z_]+)'\)|variable: '([A-Z_]+)'/g,
      ),
    ]
      .map((match) => match.slice(1).find((name) => name !== undefined)!)
      .filter((name) => /^[A-Za-z_]*[A-Z_]{3,}\w*$/.test(name)),
  );
  expect(new Set(read).size).toBeGreaterThan(20);
  const known = (name: string) => Object.hasOwn(variables, name) || name.startsWith('OTEL_');
  expect([...new Set(read)].filter((name) => !known(name))).toEqual([]);
});
