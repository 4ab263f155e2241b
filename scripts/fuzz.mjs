// `npm run fuzz`: every target of test/fuzz with 100,000 inputs, or as many as the argument says, and a seed of its own, which it prints.
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { nodeBinary, root, setUp } from './setup.mjs';

const usage = 'npm run fuzz -- [inputs a target, default 100000]';
const [KASANE_FUZZ_RUNS = '100000', ...rest] = process.argv.slice(2);
if (!/^[1-9]\d*$/.test(KASANE_FUZZ_RUNS) || rest.length > 0) {
  const asked = KASANE_FUZZ_RUNS === '--help';
  process[asked ? 'stdout' : 'stderr'].write(
    asked ? `${usage}\n` : `expected a number of inputs\n\n${usage}\n`,
  );
  process.exit(asked ? 0 : 2);
}
setUp();
const KASANE_FUZZ_SEED = process.env.KASANE_FUZZ_SEED ?? String(randomInt(2 ** 31));
process.stdout.write(`${KASANE_FUZZ_RUNS} inputs a target, seed ${KASANE_FUZZ_SEED}\n`);
const vitest = join(root, 'node_modules/vitest/vitest.mjs');
const env = Object.assign({}, process.env, { KASANE_FUZZ_RUNS, KASANE_FUZZ_SEED });
const { status } = spawnSync(nodeBinary, [vitest, 'run', 'test/fuzz'], { cwd: root, env, stdio: 'inherit' });
process.exitCode = status ?? 1;
