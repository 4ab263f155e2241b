/** What the .proto files may not have. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const folder = new URL('../../../proto/kasane/v1/', import.meta.url);

it.each(readdirSync(folder))(
  '%s has no maps: the reflection service sends them in a form that Python refuses',
  (file) => {
    const text = readFileSync(new URL(file, folder), 'utf8').replace(/\/\/.*$/gm, '');
    expect(text).not.toMatch(/\bmap\s*</);
    expect(text).not.toContain('google/protobuf/struct.proto');
  },
);
