// `npm test`: sets the checkout up if need be, then runs every check and every test, and says which part failed.
// Arguments after `--` go to Vitest, and then nothing else runs. In CI (CI=true or KASANE_CI=1) a skipped test counts as
// failed, and the last line is 'N passed, N failed': each check counts as one, each test as one.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { nodeBinary, root, setUp } from './setup.mjs';

const inCi = process.env.CI === 'true' || process.env.KASANE_CI === '1';
const bin = join(root, 'node_modules/.bin');
const env = Object.assign({}, process.env, { PATH: `${bin}${delimiter}${process.env.PATH}` });

setUp();

const checks = [
  { name: 'format and lint (biome)', args: [join(bin, 'biome'), 'check', '.'] },
  { name: 'types (tsc)', args: [join(bin, 'tsc'), '-p', 'tsconfig.json'] },
  {
    name: 'import directions',
    args: [nodeBinary, join(root, 'scripts/imports.mjs')],
  },
  { name: 'gRPC definitions (buf lint)', args: [join(bin, 'buf'), 'lint'], cwd: join(root, 'proto') },
];

const only = process.argv.slice(2);
const parts = [];
if (only.length === 0) for (const check of checks) parts.push(runCheck(check));
parts.push(runTests(only));

const failed = parts.filter((part) => part.failed > 0);
if (failed.length > 0) process.stderr.write(`\nFailed: ${failed.map((part) => part.name).join(', ')}\n`);
if (inCi) {
  const sum = (key) => parts.reduce((total, part) => total + part[key], 0);
  process.stdout.write(`${sum('passed')} passed, ${sum('failed')} failed\n`);
}
process.exitCode = failed.length > 0 ? 1 : 0;

function runCheck({ name, args, cwd = root }) {
  const [command, ...rest] = args;
  const { status, error } = spawnSync(command, rest, { cwd, env, stdio: 'inherit' });
  if (error) process.stderr.write(`${name}: ${error.message}\n`);
  const ok = status === 0;
  process.stdout.write(`${ok ? 'ok    ' : 'FAILED'} ${name}\n`);
  return { name, passed: ok ? 1 : 0, failed: ok ? 0 : 1 };
}

function runTests(extra) {
  const directory = mkdtempSync(join(tmpdir(), 'kasane-test-'));
  const report = join(directory, 'report.json');
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  try {
    const { status } = spawnSync(nodeBinary, [vitest, 'run', ...reporters, ...extra], {
      cwd: root,
      env,
      stdio: 'inherit',
    });
    const counts = existsSync(report)
      ? countTests(JSON.parse(readFileSync(report, 'utf8')))
      : { passed: 0, failed: 0 };
    // A run can fail with every test passed: an unhandled rejection, or no test found.
    if (status !== 0 && counts.failed === 0) counts.failed = 1;
    return Object.assign({ name: 'tests (vitest)' }, counts);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Tests by outcome in Vitest's JSON report. */
function countTests(report) {
  let passed = 0;
  let failed = 0;
  for (const file of report.testResults) {
    const bad = file.assertionResults.filter((test) => test.status !== 'passed');
    passed += file.assertionResults.length - bad.length;
    const counted = inCi ? bad : bad.filter((test) => test.status === 'failed');
    failed += counted.length;
    if (inCi)
      for (const test of bad)
        if (test.status !== 'failed') process.stderr.write(`skipped: ${test.fullName}\n`);
    // A file that could not be loaded has no tests to count.
    if (file.status === 'failed' && !bad.some((test) => test.status === 'failed')) failed++;
  }
  return { passed, failed };
}
