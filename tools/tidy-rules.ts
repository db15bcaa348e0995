/**
 * Rules of the house that a text or its syntax can break. Each takes one file and returns its faults as
 * `path:line what is wrong`.
 */
import ts from 'typescript';

/** A file of the repository. */
export interface TextFile {
  readonly path: string;
  readonly text: string;
}

/** A rule about one file. */
export type FileRule = (file: TextFile) => string[];

const isTest = (path: string): boolean =>
  /\.test\.tsx?$|\/(test|testing|fixtures)\//.test(path) || path.startsWith('test/');

const isProgram = (path: string): boolean => /^(apps\/cli|tools)\//.test(path);

/** Names that say nothing about what a file holds. */
export const noVagueNames: FileRule = ({ path }) => {
  const vague = /(^|\/|-)(utils?|helpers?|common|misc|manager|stuff)(-[^/]*)?(\/|\.[^/]*$)/;
  return /\.(m?[jt]sx?|py|c|h)$/.test(path) && vague.test(path)
    ? [`${path}:1 has a name that does not say what it does`]
    : [];
};

/** Marks of unfinished work: one kind cannot land, the other needs the id of an issue. */
export const noUnfinishedMarks: FileRule = ({ path, text }) => {
  if (!/\.(m?[jt]sx?|py|c|h|sh|jinja)$/.test(path)) return [];
  // Spelled in pieces, or this file would break its own rule.
  const cannotLand = new RegExp(`\\b(FIX${'ME'}|X${'XX'})\\b`);
  const needsId = new RegExp(`\\bTO${'DO'}\\b(?!\\((#\\d+|[A-Z]+-\\d+)\\))`);
  return matchLines({ path, text }, (line) => {
    if (cannotLand.test(line)) return 'holds a mark of unfinished work';
    return needsId.test(line) ? 'holds a mark of later work without the id of an issue' : null;
  });
};

/** Suppressions say why, in the same line; the blunt ones are not used. */
export const suppressionsHaveReasons: FileRule = ({ path, text }) => {
  if (!/\.m?[jt]sx?$/.test(path)) return [];
  const blunt = new RegExp(`@ts-(ig${'nore'}|no${'check'})\\b|eslint-dis${'able'}`);
  const suppression = new RegExp(`(biome-ig${'nore'}(-\\w+)? [\\w/]+|@ts-expect-er${'ror'})(.*)$`);
  return matchLines({ path, text }, (line) => {
    if (blunt.test(line)) return 'suppresses without naming what';
    const match = suppression.exec(line);
    if (match === null) return null;
    const reason = (match[3] ?? '').replace(/^[\s:—-]+|[\s*/]+$/g, '');
    return reason.split(/\s+/).length >= 3 ? null : 'suppresses without a reason';
  });
};

/** Environment and terminal are reached in the command line and the tools alone. */
export const environmentIsConfined: FileRule = ({ path, text }) => {
  if (!/^(packages|apps)\/.*\.tsx?$/.test(path) || isTest(path) || isProgram(path)) return [];
  return visitNodes({ path, text }, (node) => {
    if (!ts.isPropertyAccessExpression(node) || !ts.isIdentifier(node.expression)) return null;
    const [object, member] = [node.expression.text, node.name.text];
    if (object === 'console') return 'prints; libraries return facts instead';
    if (object !== 'process') return null;
    if (member === 'env') return 'reads the environment; configuration is a parameter';
    return /^std(out|err|in)$/.test(member) ? 'uses the terminal of the process' : null;
  });
};

/** Native functions and threads stay where they are wrapped, however they are loaded. */
export const nativeIsConfined: FileRule = ({ path, text }) => {
  if (!/^(packages|apps)\/.*\.tsx?$/.test(path)) return [];
  return visitNodes({ path, text }, (node) => {
    if (!ts.isStringLiteral(node)) return null;
    if (node.text === 'koffi' && !path.startsWith('packages/ggml/src/raw/')) {
      return isModuleName(node) ? 'loads koffi outside packages/ggml/src/raw' : null;
    }
    const isThreads = /^(node:)?worker_threads$/.test(node.text);
    return isThreads && isModuleName(node) && !/(^|\/)worker-pool(\/|[.-])/.test(path)
      ? 'uses threads outside a worker-pool module'
      : null;
  });
};

/** Codes come from an errors.ts table, so that docs/errors.md lists every one of them. */
export const codesComeFromTables: FileRule = ({ path, text }) => {
  if (!/^(packages|apps)\/[^/]+\/src\/.*\.tsx?$/.test(path) || isTest(path)) return [];
  return visitNodes({ path, text }, (node) => {
    if (!ts.isNewExpression(node) || node.expression.getText() !== 'TuneyardError') return null;
    const [code] = node.arguments ?? [];
    return code && ts.isStringLiteralLike(code) ? 'raises a code that is in no errors.ts' : null;
  });
};

/** All of them. */
export const FILE_RULES: readonly FileRule[] = [
  noVagueNames,
  noUnfinishedMarks,
  suppressionsHaveReasons,
  environmentIsConfined,
  nativeIsConfined,
  codesComeFromTables,
];

function isModuleName(node: ts.StringLiteral): boolean {
  const { parent } = node;
  if (ts.isImportDeclaration(parent) || ts.isExportDeclaration(parent)) return true;
  if (ts.isLiteralTypeNode(parent)) return ts.isImportTypeNode(parent.parent);
  return ts.isCallExpression(parent) && /(^import|require)$/.test(parent.expression.getText());
}

function matchLines({ path, text }: TextFile, check: (line: string) => string | null): string[] {
  return text.split('\n').flatMap((line, index) => {
    const fault = check(line);
    return fault === null ? [] : [`${path}:${index + 1} ${fault}`];
  });
}

function visitNodes({ path, text }: TextFile, check: (node: ts.Node) => string | null): string[] {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const faults: string[] = [];
  const visit = (node: ts.Node): void => {
    const fault = check(node);
    if (fault !== null) {
      const { line } = source.getLineAndCharacterOfPosition(node.getStart());
      faults.push(`${path}:${line + 1} ${fault}`);
    }
    node.forEachChild(visit);
  };
  visit(source);
  return faults;
}
