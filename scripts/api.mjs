// `pnpm api`: writes the API report of each package, packages/NAME/api.md: the declarations of its public modules, without comments,
// and of the types of other modules that they use.
// `pnpm api --check`, part of `npm test`, fails if a report is not up to date, so that a change of what is public shows in a diff.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(fileURLToPath(new URL('.', import.meta.url)), '..');
const check = process.argv.includes('--check');
const declarations = mkdtempSync(join(tmpdir(), 'kasane-api-'));
const problems = [];
const modulesByFile = new Map();
const manifests = new Map();
try {
  emitDeclarations();
  for (const name of readdirSync(join(root, 'packages')).sort()) {
    if (existsSync(join(root, 'packages', name, 'package.json'))) reportOn(name);
  }
} finally {
  rmSync(declarations, { recursive: true, force: true });
}
for (const problem of problems) process.stderr.write(`${problem}\n`);
process.exitCode = problems.length > 0 ? 1 : 0;

function emitDeclarations() {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const emit = ['--emitDeclarationOnly', '--removeComments', '--singleThreaded', '--outDir', declarations];
  execFileSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json'), ...emit], {
    stdio: 'inherit',
  });
}

function reportOn(name) {
  const { exports, publishConfig } = manifestOf(name);
  checkPublished(name, exports, publishConfig.exports);
  const file = join(root, 'packages', name, 'api.md');
  const modules = Object.keys(exports).filter(
    (key) => String(exports[key]).endsWith('.ts') && !key.includes('*'),
  );
  if (modules.length === 0) return;
  const intro =
    'The declarations of the public modules. `pnpm api` writes this file; [compatibility](../../docs/compatibility.md) says what may change.';
  const files = new Map(modules.sort().map((key) => [declarationOf(name, key.slice(2)), key.slice(2)]));
  const parts = [...files].map(([path, title]) => section(title, publicLines(readFileSync(path, 'utf8'))));
  const others = typesUsedBy([...files.keys()]);
  if (others.length > 0) parts.push(section('Types of other modules', others.map(publicLines).join('\n')));
  const report = `# API of @kasane/${name}\n\n${intro}\n\n${parts.join('\n')}`;
  if (!check) writeFileSync(file, report);
  else if (!existsSync(file) || readFileSync(file, 'utf8') !== report) {
    problems.push(
      `packages/${name}/api.md is not up to date: run 'pnpm api', review what changed in the public API, and commit it`,
    );
  }
}

function section(title, code) {
  return `## ${title}\n\n\`\`\`ts\n${code}\n\`\`\`\n`;
}

/** @param module a key of `exports` without its `./`, or the path of a module that is not public */
function declarationOf(name, module) {
  const source = manifestOf(name).exports[`./${module}`] ?? `./src/${module}.ts`;
  return join(declarations, name, source.replace(/\.ts$/, '.d.ts'));
}

/** Whether a file of declarations is of a public module: that has a place in a report already. */
function isPublic(file) {
  const [name, ...path] = relative(declarations, file).split(sep);
  const source = `./${path.join('/').replace(/\.d\.ts$/, '.ts')}`;
  return Object.values(manifestOf(name).exports).includes(source);
}

function manifestOf(name) {
  let manifest = manifests.get(name);
  if (!manifest) {
    manifest = JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8'));
    manifests.set(name, manifest);
  }
  return manifest;
}

/** The declarations of modules that are not public that these files refer to by name, and those that they refer to. */
function typesUsedBy(files) {
  const found = new Map();
  const follow = (file, text) => {
    const module = moduleOf(file);
    for (const [word] of text.matchAll(/\w+/g)) {
      const from = module.imports.has(word) ? module.imports.get(word) : file;
      const code = from && moduleOf(from).declared.get(word);
      if (!code || isPublic(from) || found.has(`${from} ${word}`)) continue;
      found.set(`${from} ${word}`, code);
      follow(from, code);
    }
  };
  for (const file of files) follow(file, readFileSync(file, 'utf8'));
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, code]) => code);
}

/** What a module declares, by name, and from which of our files it imports or exports which names. What is generated from proto/ counts as elsewhere. */
function moduleOf(file) {
  let module = modulesByFile.get(file);
  if (module) return module;
  module = { imports: new Map(), declared: new Map() };
  modulesByFile.set(file, module);
  const text = readFileSync(file, 'utf8');
  for (const [, names, specifier] of text.matchAll(
    /^(?:import|export) (?:type )?\{([^}]+)\} from '([^']+)'/gm,
  )) {
    const ours = /^@kasane\/([^/]+)\/(?:internal\/)?(.+)$/.exec(specifier);
    let target;
    if (ours) target = declarationOf(ours[1], ours[2]);
    else if (specifier.startsWith('.')) target = join(dirname(file), specifier.replace(/\.ts$/, '.d.ts'));
    const known = target && !target.includes('/gen/') && existsSync(target) ? target : undefined;
    for (const name of names.split(',')) module.imports.set(name.trim().replace(/^type /, ''), known);
  }
  for (const part of text.split(/^(?=export |declare |import )/m)) {
    const name = /^(?:export )?(?:declare )?(?:abstract )?(?:interface|type|class|const|function) (\w+)/.exec(
      part,
    );
    if (name) module.declared.set(name[1], part);
  }
  return module;
}

/** What a program can use: no private members, which only say that there are some. */
function publicLines(declaration) {
  return declaration
    .split('\n')
    .filter((line) => !/^\s+(private |#private;)/.test(line))
    .join('\n')
    .trim();
}

/** A package's `exports` during development name sources, those of a published one what is built from them. */
function checkPublished(name, exports, published) {
  for (const [key, source] of Object.entries(exports)) {
    const stem = source.replace(/^\.\/src\//, './dist/').replace(/\.ts$/, '');
    const wanted = source.endsWith('.ts') ? { types: `${stem}.d.ts`, default: `${stem}.js` } : stem;
    if (JSON.stringify(published[key]) !== JSON.stringify(wanted)) {
      problems.push(
        `packages/${name}/package.json: publishConfig.exports['${key}'] must be ${JSON.stringify(wanted)}`,
      );
    }
  }
  for (const key of Object.keys(published)) {
    if (!(key in exports)) problems.push(`packages/${name}/package.json: exports lacks '${key}'`);
  }
}
