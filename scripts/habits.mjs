// `pnpm habits [BASE]`: what the sources have of each habit that we want less of, beside the state of BASE (default: the last commit of
// main that this branch has). It reports and never fails. In CI the table is part of the run's summary.
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const git = (...args) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
const MOST_LINES = 400;
const MOST_FUNCTION_LINES = 80;

/** Biome's rules that count, with what they find. */
const rules = {
  'style/noNonNullAssertion': { title: 'non-null assertions (`!`)', options: {} },
  'suspicious/noShadow': { title: 'shadowed names', options: {} },
  'complexity/noExcessiveLinesPerFunction': {
    title: `functions over ${MOST_FUNCTION_LINES} lines`,
    options: { maxLines: MOST_FUNCTION_LINES, skipBlankLines: false },
  },
  'complexity/noExcessiveCognitiveComplexity': { title: 'functions of complexity over 15', options: {} },
};

/** What Biome has no rule for, counted in the text of each file. */
const counts = {
  'casts (`as`)': (text) =>
    matches(
      text,
      /^(?!\s*(?:import|export|\*|\/[/*])).*?\bas (?:[A-Z({[]|(?:string|number|boolean|unknown|never|readonly|keyof|typeof)\b)/gm,
    ),
  'errors swallowed without a reason': (text) =>
    matches(text, /(?<!\*\/\s*|\/\/.*\n\s*)\bcatch \{(?!\s*\/[/*])/g) +
    matches(text, /\.catch\(\(\) => (?:\{\}|undefined)\)/g),
  [`files over ${MOST_LINES} lines`]: (text) => (text.split('\n').length > MOST_LINES ? 1 : 0),
};

const scratch = mkdtempSync(join(tmpdir(), 'kasane-habits-'));
try {
  const base =
    process.argv[2] ??
    git('merge-base', 'HEAD', git('rev-parse', '--abbrev-ref', 'HEAD') === 'main' ? 'HEAD~1' : 'main');
  git('worktree', 'add', '--quiet', '--detach', join(scratch, 'base'), base);
  const before = measure(join(scratch, 'base'));
  const now = measure(root);
  const rows = Object.keys(now).map((habit) => {
    const change = now[habit] - before[habit];
    return `| ${habit} | ${before[habit]} | ${now[habit]} | ${change > 0 ? '+' : ''}${change} |`;
  });
  const head = [`| packages/*/src | ${base.slice(0, 8)} | now | change |`, '| --- | --: | --: | --: |'];
  const table = `${[...head, ...rows].join('\n')}\n`;
  process.stdout.write(table);
  if (process.env.GITHUB_STEP_SUMMARY) appendFileSync(process.env.GITHUB_STEP_SUMMARY, `\n${table}`);
} finally {
  execFileSync('git', ['worktree', 'remove', '--force', join(scratch, 'base')], {
    cwd: root,
    stdio: 'ignore',
  });
  rmSync(scratch, { recursive: true, force: true });
}

/** @returns how often the sources of a checkout have each habit */
function measure(folder) {
  const found = {};
  const report = lint(folder);
  for (const [rule, { title }] of Object.entries(rules))
    found[title] = report.diagnostics.filter(
      ({ category, location }) => category === `lint/${rule}` && !location.path.includes('/gen/'),
    ).length;
  const texts = sources(join(folder, 'packages')).map((file) => readFileSync(file, 'utf8'));
  for (const [title, count] of Object.entries(counts))
    found[title] = texts.reduce((sum, text) => sum + count(text), 0);
  return found;
}

function lint(folder) {
  const groups = {};
  for (const [rule, { options }] of Object.entries(rules)) {
    const [group, name] = rule.split('/');
    groups[group] = { ...groups[group], [name]: { level: 'warn', options } };
  }
  const config = join(scratch, 'rules', 'biome.json');
  mkdirSync(join(scratch, 'rules'), { recursive: true });
  writeFileSync(config, JSON.stringify({ linter: { rules: { preset: 'none', ...groups } } }));
  const rooms = readdirSync(join(folder, 'packages')).map((name) => `packages/${name}/src`);
  const biome = join(root, 'node_modules/.bin/biome');
  const args = ['lint', `--config-path=${config}`, '--reporter=json', '--max-diagnostics=none', ...rooms];
  const options = { cwd: folder, encoding: 'utf8', maxBuffer: 64 << 20, stdio: ['ignore', 'pipe', 'ignore'] };
  return JSON.parse(execFileSync(biome, args, options));
}

function sources(folder) {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => /^[^/]+\/src\/.*\.tsx?$/.test(path) && !path.includes('/gen/'))
    .map((path) => join(folder, path));
}

function matches(text, pattern) {
  return text.match(pattern)?.length ?? 0;
}
