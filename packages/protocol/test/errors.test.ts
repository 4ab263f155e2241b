import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { errorCodes } from '../src/errors.ts';

describe('error table', () => {
  it('has no code that nothing throws', () => {
    const packages = join(import.meta.dirname, '../..');
    const used = new Set<string>();
    for (const name of readdirSync(packages)) {
      for (const file of readdirSync(join(packages, name, 'src'), { recursive: true, encoding: 'utf8' })) {
        if (!/\.ts$/.test(file) || file.includes('gen/') || file === 'errors.ts') continue;
        const source = readFileSync(join(packages, name, 'src', file), 'utf8');
        for (const [, code] of source.matchAll(/'([A-Z]+(?:_[A-Z]+)*)'/g)) used.add(code!);
      }
    }
    expect(Object.keys(errorCodes).filter((code) => !used.has(code))).toEqual([]);
  });
});
