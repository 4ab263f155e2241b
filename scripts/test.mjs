// `npm test`: sets the checkout up if need be, then runs every check and every test, says which part failed, and lists what was left out
// because this machine lacks something. Arguments after `--` go to Vitest, and then nothing else runs. In CI (CI=true or KASANE_CI=1) the
// last line is 'N passed, N failed': each check counts as one, each test as one. With KASANE_CI=1 a skipped test counts as failed.
import { spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  createReadStream,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { delimiter, join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { stripVTControlCharacters } from 'node:util';
import { nodeBinary, root, setUp } from './setup.mjs';

const strict = process.env.KASANE_CI === '1';
const inCi = strict || process.env.CI === 'true';
/** Tests by what they lack, as test/support/needs.ts says it. */
const leftOut = new Map();
/** Tests that failed, with the first line of why: what stands above them can be thousands of lines away, or cut off. */
const broken = [];
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
  {
    name: 'API reports',
    args: [nodeBinary, join(root, 'scripts/api.mjs'), '--check'],
  },
  { name: 'gRPC definitions (buf lint)', args: [join(bin, 'buf'), 'lint'], cwd: join(root, 'proto') },
];

const only = process.argv.slice(2);
const parts = [];
if (only.length === 0) for (const check of checks) parts.push(runCheck(check));
// Some tests need none; whoever asks for a few gets them.
if (only.length > 0) parts.push(await runTests('tests (vitest)', only));
else if (redisIsThere()) parts.push(...(await runAllTests()));
else parts.push({ name: 'Redis for the tests', passed: 0, failed: 1 });

listLeftOut();
const failed = parts.filter((part) => part.failed > 0);
if (failed.length > 0) process.stdout.write(`\nFailed: ${failed.map((part) => part.name).join(', ')}\n`);
for (const { test, why } of broken) process.stdout.write(`  ${test}\n    ${why}\n`);
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

/** Finds the Redis that `npm start` uses, and fetches it if need be: once, and before many tests ask for it at the same time. */
function redisIsThere() {
  const { status } = spawnSync(nodeBinary, [join(root, 'test/support/redis.ts')], {
    cwd: root,
    env,
    stdio: 'inherit',
  });
  return status === 0;
}

/** What this machine lacks, how to get it, and how many tests were left out for it. */
function listLeftOut() {
  if (leftOut.size === 0) return;
  process.stdout.write('\nLeft out, because this machine lacks:\n');
  for (const [why, tests] of [...leftOut].sort(([a], [b]) => a.localeCompare(b)))
    process.stdout.write(`  ${why} (${tests} ${tests === 1 ? 'test' : 'tests'})\n`);
}

/**
 * Tests of the system wait more than they compute, and must come one file at a time; those of units compute, and come beside them on
 * the other cores, as do those of the system that are in no hurry. What these print follows when both have ended.
 */
async function runAllTests() {
  const directory = mkdtempSync(join(tmpdir(), 'kasane-test-'));
  const log = join(directory, 'beside.log');
  const besideLog = openSync(log, 'w');
  const workers = Math.max(1, availableParallelism() - 1);
  try {
    const parts = await Promise.all([
      runTests('tests of the system (vitest)', ['--project', 'system']),
      runTests(
        'tests of units, and others beside the system (vitest)',
        ['--project', '*unit', '--project', 'unhurried', `--maxWorkers=${workers}`],
        besideLog,
      ),
    ]);
    await pipeline(createReadStream(log), process.stdout, { end: false });
    return parts;
  } finally {
    closeSync(besideLog);
    rmSync(directory, { recursive: true, force: true });
  }
}

/** @param output what stands in the name of this process's outputs: a file descriptor, or 'inherit' */
async function runTests(name, extra, output = 'inherit') {
  const directory = mkdtempSync(join(tmpdir(), 'kasane-test-'));
  const report = join(directory, 'report.json');
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  try {
    const child = spawn(nodeBinary, [vitest, 'run', ...reporters, ...extra], {
      cwd: root,
      env,
      stdio: ['inherit', output, output],
    });
    const status = await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    const counts = existsSync(report)
      ? countTests(JSON.parse(readFileSync(report, 'utf8')))
      : { passed: 0, failed: 0 };
    // A run can fail with every test passed: an unhandled rejection, or no test found.
    if (status !== 0 && counts.failed === 0) {
      counts.failed = 1;
      broken.push({
        test: name,
        why: `Vitest ended with ${status}, and no test of it failed. Its words are above.`,
      });
    }
    return { name, ...counts };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Tests by outcome in Vitest's JSON report. */
function countTests(report) {
  let passed = 0;
  let failed = 0;
  for (const file of report.testResults) {
    const path = relative(root, file.name);
    const fails = (test, why) => {
      failed++;
      broken.push({ test: `${path}: ${test}`, why: stripVTControlCharacters(why ?? '').split('\n', 1)[0] });
    };
    for (const { status, meta, fullName, failureMessages } of file.assertionResults) {
      const ran = status === 'passed' || status === 'failed';
      const why = meta?.leftOut ?? (ran ? [] : ['another system']);
      for (const need of why) leftOut.set(need, (leftOut.get(need) || 0) + 1);
      if (status === 'passed') passed++;
      else if (status === 'failed') fails(fullName, failureMessages[0]);
      else if (strict) fails(fullName, `It was skipped: ${why.join(', ')}.`);
    }
    // A file that could not be loaded has no tests to count.
    const loaded =
      file.status !== 'failed' || file.assertionResults.some(({ status }) => status === 'failed');
    if (!loaded) fails('could not be loaded', file.message);
  }
  return { passed, failed };
}
