/**
 * Who may import whom. `npm run bounds` runs these rules and fails when the cruise saw fewer modules
 * than there are source files.
 */

/** Packages that each package may import, apart from itself. */
const PACKAGE_ARROWS = {
  core: [],
  formats: ['core'],
  weights: ['core', 'formats'],
  data: ['core', 'formats'],
  ggml: ['core'],
  engine: ['core', 'formats', 'weights', 'data', 'ggml'],
  pipeline: ['core', 'formats', 'weights', 'data', 'ggml', 'engine'],
};

/** Folders of one package that must not import each other; all else in the package is open to them. */
const SIBLING_FOLDERS = [
  { package: 'engine', folders: ['train', 'evaluate', 'calibrate', 'quantize', 'generate'] },
  { package: 'formats', folders: ['safetensors', 'gguf', 'torch-pt', 'indexed-dataset'] },
];

const packageRules = Object.entries(PACKAGE_ARROWS).map(([name, allowed]) => ({
  name: `package-arrows-${name}`,
  comment: `${name} may import ${allowed.join(', ') || 'no other package'}`,
  severity: 'error',
  from: { path: `^packages/${name}/` },
  to: { path: '^(packages|apps)/', pathNot: [name, ...allowed].map((to) => `^packages/${to}/`) },
}));

const siblingRules = SIBLING_FOLDERS.map(({ package: owner, folders }) => ({
  name: `siblings-${owner}`,
  comment: `${folders.join(', ')} of ${owner} do not import each other`,
  severity: 'error',
  from: { path: `^packages/${owner}/src/(${folders.join('|')})/` },
  to: {
    path: `^packages/${owner}/src/(${folders.join('|')})/`,
    pathNot: '^packages/[^/]+/src/$1/',
  },
}));

export default {
  forbidden: [
    ...packageRules,
    ...siblingRules,
    {
      name: 'by-package-name',
      comment: 'another package is imported by its name, never by a path into its source',
      severity: 'error',
      from: { path: '^((?:packages|apps)/[^/]+)/' },
      to: {
        path: '^(packages|apps)/',
        pathNot: '^$1/',
        dependencyTypesNot: ['aliased-workspace'],
      },
    },
    {
      name: 'tools-stand-alone',
      comment: 'the product does not import its tooling',
      severity: 'error',
      from: { path: '^(packages|apps)/' },
      to: { path: '^tools/' },
    },
    {
      name: 'koffi-in-raw',
      comment: 'foreign functions are bound in packages/ggml/src/raw alone',
      severity: 'error',
      from: { pathNot: '^packages/ggml/src/raw/' },
      to: { path: '(^|/)koffi(/|$)' },
    },
    {
      name: 'threads-in-worker-pools',
      comment: 'threads are started and spoken to in worker-pool modules alone',
      severity: 'error',
      from: { pathNot: '(^|/)worker-pool(/|[.-])' },
      to: { path: '^(node:)?worker_threads$' },
    },
    {
      name: 'no-tests-in-product',
      comment: 'product code does not import tests, fixtures or test-only modules',
      severity: 'error',
      from: { path: '^(packages|apps)/[^/]+/src/', pathNot: '[.]test[.]ts$|/(test|testing)/' },
      to: { path: '[.]test[.]ts$|^(packages|apps)/[^/]+/(src/)?(test|testing)/' },
    },
    {
      name: 'no-cycles',
      comment: 'modules that need each other are one module',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'resolvable',
      comment: 'every import leads somewhere',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: ['node_modules'] },
    exclude: { path: ['^(packages|apps)/[^/]+/dist/'] },
    tsPreCompilationDeps: true,
    combinedDependencies: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['@tuneyard/source', 'node', 'import', 'default'],
      mainFields: ['module', 'main', 'types'],
    },
  },
};
