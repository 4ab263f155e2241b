// Who may import whom. A package may use itself and those named for it; some libraries have one importer each.
const packageImports = {
  tensor: [],
  data: ['tensor'],
  protocol: ['tensor'],
  coordinator: ['tensor', 'data', 'protocol'],
  worker: ['tensor', 'data', 'protocol'],
  cli: ['tensor', 'data', 'protocol', 'coordinator', 'worker'],
};

const directions = Object.entries(packageImports).map(([name, allowed]) => ({
  name: `${name}-imports`,
  comment: `packages/${name} may import ${allowed.length > 0 ? allowed.join(', ') : 'no other package'}`,
  severity: 'error',
  from: { path: `^packages/${name}/src/` },
  to: { path: '^packages/', pathNot: `^packages/(${[name, ...allowed].join('|')})/` },
}));

/** Only files that match `importers` may import the module that `module` matches. */
const keepers = [
  { module: 'bullmq', importers: '^packages/(coordinator/src/queue/|worker/src/tasks[.]ts$)' },
  { module: 'node:sqlite|sqlite', importers: '^packages/coordinator/src/jobs/' },
  {
    module: '@grpc/grpc-js',
    importers:
      '^packages/(protocol/src/|coordinator/src/serve/|worker/src/stream[.]ts$|cli/src/client[.]ts$)',
  },
].map(({ module, importers }) => ({
  name: `importers-of-${module.split('|')[0].replace(/[^a-z-]/g, '-')}`,
  comment: `only ${importers} may import ${module}`,
  severity: 'error',
  from: { path: '^packages/[^/]+/src/', pathNot: importers },
  to: { path: `(^|node_modules/)(${module})(/|$)` },
}));

export default {
  forbidden: [
    ...directions,
    ...keepers,
    {
      name: 'no-cycles',
      comment: 'modules that need each other are one module, or miss a third',
      severity: 'error',
      from: { path: '^packages/[^/]+/src/', pathNot: '/src/gen/' },
      to: { circular: true },
    },
    {
      name: 'tensor-runs-in-browsers',
      comment: 'nothing of Node and no library in packages/tensor, but for src/node/',
      severity: 'error',
      from: { path: '^packages/tensor/src/', pathNot: '^packages/tensor/src/node/' },
      to: {
        dependencyTypes: ['core', 'npm', 'npm-dev', 'npm-optional', 'npm-peer', 'npm-no-pkg', 'npm-unknown'],
      },
    },
    {
      name: 'resolvable',
      comment: 'an import that does not resolve',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(/dist/|/src/gen/)' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    builtInModules: { add: ['node:sqlite'] },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'default'] },
  },
};
