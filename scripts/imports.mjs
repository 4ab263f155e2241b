// Checks who imports whom in packages/: directions between packages and between rooms of tensor, libraries that have one importer,
// no cycles, and nothing but itself in tensor.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** What a package may import besides itself. */
const directions = {
  tensor: [],
  data: ['tensor'],
  protocol: ['tensor'],
  coordinator: ['tensor', 'data', 'protocol'],
  worker: ['tensor', 'data', 'protocol'],
  client: ['tensor', 'protocol'],
  dashboard: ['tensor', 'protocol'],
  cli: ['tensor', 'data', 'protocol', 'coordinator', 'worker', 'dashboard'],
};

/** Libraries that only some files may import: their words stay in these adapters. */
const keepers = {
  bullmq: /^(coordinator\/src\/queue\/|worker\/src\/job\/tasks\.ts$)/,
  'node:sqlite': /^coordinator\/src\/store\//,
  '@opentelemetry': /^cli\/src\/tracing\//,
  'bullmq-otel': /^cli\/src\/tracing\//,
  'prom-client': /^(coordinator\/src\/serve\/|worker\/src\/observe\/prometheus\.ts$)/,
  hyparquet: /^data\/src\/records\/parquet(-pages)?\.ts$/,
  yauzl: /^data\/src\/records\/npz\.ts$/,
  'modern-tar': /^data\/src\/records\/tar-members\.ts$/,
  aws4fetch: /^data\/src\/packed\/s3\.ts$/,
  '@grpc/grpc-js': /^(protocol\/src\/|coordinator\/src\/serve\/|worker\/src\/connection\/stream\.ts$)/,
};

/**
 * Boundaries inside of packages and between rooms of tensor: files that match `from` import no file that matches `to`, but for `except`.
 * Where one package chooses its backends is the only file of it that names one; all others go by `tensor/src/backends/backend.ts`.
 */
const boundaries = [
  {
    from: /^tensor\/src\/backends\/(?:wasm|webgpu|reference)\//,
    to: /^tensor\/src\/backends\/(wasm|webgpu|reference)\//,
    except: (importer, target) => importer.split('/')[3] === target.split('/')[3],
    why: 'backends do not import each other: what they share is beside them, in tensor/src/backends/',
  },
  {
    from: /^tensor\/src\/(?:nn|ops|optim|plan|scalar|onnx)\//,
    to: /^tensor\/src\/(?:io|backends|node)\//,
    why: 'models, operations and plans know no files and no backends',
  },
  {
    from: /^(?!tensor\/)/,
    to: /^tensor\/src\/backends\/[^/]+\//,
    except: (importer) => choosers.test(importer),
    why: "files of a backend are named only where a package chooses one; go by '@kasane/tensor/backends/backend'",
  },
];

/** Where packages choose their backends; of worker, also where it opens the device that one computes on. */
const choosers =
  /^(?:coordinator\/src\/(?:model-)?backend|worker\/src\/(?:slots\/(?:backends|gpu)|peers\/backend)|cli\/src\/model\/backend|dashboard\/src\/page\/network)\.ts$/;

/** In tensor, which also runs in browsers: the files for Node alone. */
const nodeOnly = /^tensor\/src\/node\//;

const problems = [];
/** Package to the sources and names in its `exports`. */
const exported = new Map();
/** File, from packages/, to the files that it imports by value. */
const values = new Map();

for (const file of sources()) {
  const importer = relative(join(root, 'packages'), file);
  const text = readFileSync(file, 'utf8');
  values.set(importer, []);
  for (const { specifier, typeOnly, line } of importsOf(text)) {
    const report = (message) => problems.push(`packages/${importer}:${line}: ${message}`);
    const target = check(file, importer, specifier, report);
    if (target && !typeOnly) values.get(importer).push(target);
  }
}
for (const cycle of cycles(values)) problems.push(`these import each other: ${cycle.join(' -> ')}`);

for (const problem of problems) process.stderr.write(`${problem}\n`);
process.stdout.write(`${values.size} modules, ${problems.length} wrong imports\n`);
process.exitCode = problems.length > 0 || values.size === 0 ? 1 : 0;

/** Reports what is wrong with one import. @returns the imported file, from packages/, when it is one of ours */
function check(file, importer, specifier, report) {
  const name = importer.split('/')[0];
  const allowed = directions[name];
  if (!allowed) {
    report(`scripts/imports.mjs does not say what packages/${name} may import`);
    return undefined;
  }
  const ours = /^@kasane\/([^/]+)\/(?:internal\/)?(.+)$/.exec(specifier);
  if (!ours && !specifier.startsWith('.')) {
    if (name === 'tensor' && !(isBuiltin(specifier) && nodeOnly.test(importer))) {
      report(`tensor imports nothing, but this imports '${specifier}'`);
    }
    for (const [library, importers] of Object.entries(keepers)) {
      if ((specifier === library || specifier.startsWith(`${library}/`)) && !importers.test(importer)) {
        report(`'${library}' may only be imported by files that match ${importers}`);
      }
    }
    return undefined;
  }
  const path = ours ? sourceOf(ours[1], ours[2]) : resolve(dirname(file), specifier);
  const target = relative(join(root, 'packages'), path);
  // What is generated need not be there when this runs, and the descriptor set has an export of its own.
  if (target.includes('/src/gen/') || specifier === '@kasane/protocol/descriptors') return undefined;
  if (!existsSync(path)) report(`'${specifier}' is not there: packages/${target} is missing`);
  const other = target.split('/')[0];
  if (ours) {
    const right = `@kasane/${ours[1]}/${publicNames(ours[1]).get(path) ?? `internal/${ours[2]}`}`;
    if (specifier !== right) {
      const isPublic = !right.includes('/internal/');
      report(`'${specifier}' is ${isPublic ? '' : 'not '}public: import '${right}'`);
    }
  }
  if (other === name && ours) report(`'${specifier}' is in the same package: import it by a relative path`);
  if (other !== name && !ours) report(`'${specifier}' leaves the package: import it as @kasane/...`);
  if (other !== name && !allowed.includes(other)) {
    report(`${name} may import ${allowed.join(', ') || 'no other package'}, but not ${other}`);
  }
  for (const { from, to, except, why } of boundaries) {
    if (from.test(importer) && to.test(target) && !except?.(importer, target))
      report(`'${specifier}': ${why}`);
  }
  return target;
}

/** The source of a module of one of our packages, by its public name or its path. */
function sourceOf(name, module) {
  const isPublic = [...publicNames(name)].find(([, publicName]) => publicName === module);
  return isPublic?.[0] ?? join(root, 'packages', name, 'src', `${module}.ts`);
}

/** The sources that a package's `exports` promise to users, with their names; everything else is under `internal/`. */
function publicNames(name) {
  let names = exported.get(name);
  if (!names) {
    const { exports } = JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8'));
    const entries = Object.entries(exports).filter(([key]) => !key.includes('*'));
    names = new Map(entries.map(([key, source]) => [join(root, 'packages', name, source), key.slice(2)]));
    exported.set(name, names);
  }
  return names;
}

function sources() {
  return Object.values(readdirSync(join(root, 'packages'), { withFileTypes: true }))
    .filter((entry) => existsSync(join(root, 'packages', entry.name, 'src')))
    .flatMap((entry) => filesBelow(join(root, 'packages', entry.name, 'src')))
    .sort();
}

function filesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === 'gen' ? [] : filesBelow(path);
    return path.endsWith('.ts') ? [path] : [];
  });
}

/** Static, dynamic and type imports of a module that Biome has formatted. */
function importsOf(text) {
  const found = [];
  const pattern =
    /^(import|export)\s(?:(type)\s)?[^;'"`]*?\bfrom '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/gm;
  for (const match of text.matchAll(pattern)) {
    const specifier = match[3] ?? match[4] ?? match[5];
    const line = text.slice(0, match.index).split('\n').length;
    found.push({ specifier, typeOnly: match[2] === 'type', line });
  }
  return found;
}

/** Cycles in a graph of modules, each once, found by depth-first search. */
function cycles(graph) {
  const found = [];
  const done = new Set();
  const visit = (module, path) => {
    const at = path.indexOf(module);
    if (at >= 0) {
      found.push([...path.slice(at), module]);
      return;
    }
    if (done.has(module)) return;
    for (const next of graph.get(module) ?? []) visit(next, [...path, module]);
    done.add(module);
  };
  for (const module of graph.keys()) visit(module, []);
  return found;
}
