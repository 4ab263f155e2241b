/**
 * What the default job reaches with each of ten seeds: `kasane train --seed N`, as anyone would run it.
 *
 *     pnpm bench seeds [--seeds 10] [-- further options of kasane train]
 *
 * Ends with 1 when a seed stays below 98 %.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  options: { seeds: { type: 'string', default: '10' } },
  allowPositionals: true,
});
const main = fileURLToPath(new URL('../packages/cli/src/bin.js', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'kasane-seeds-'));
const accuracies: number[] = [];
console.log('seed  test accuracy  seconds  digest');
try {
  for (let seed = 1; seed <= Number(values.seeds); seed++) {
    const options = ['--seed', String(seed), '--json', '--out', join(directory, 'model.safetensors')];
    const output = execFileSync(process.execPath, [main, 'train', ...options, ...positionals], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const { testAccuracy, seconds, digest } = JSON.parse(output);
    accuracies.push(testAccuracy);
    const percent = `${(100 * testAccuracy).toFixed(2)} %`;
    console.log(
      `${String(seed).padStart(4)}  ${percent.padStart(13)}  ${seconds.toFixed(1).padStart(7)}  ${digest.slice(0, 16)}`,
    );
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
const least = Math.min(...accuracies);
const mean = accuracies.reduce((sum, accuracy) => sum + accuracy, 0) / accuracies.length;
console.log(`least ${(100 * least).toFixed(2)} %, mean ${(100 * mean).toFixed(2)} %`);
process.exitCode = least >= 0.98 ? 0 : 1;
