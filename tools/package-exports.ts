/** Finds what a package exports through its index, and which of it lacks a doc comment. */
import { posix } from 'node:path';
import ts from 'typescript';
import { commentOf } from './error-codes.js';

/** Reads a file of the repository; undefined when there is none. */
export type ReadText = (path: string) => string | undefined;

/** Returns `path: name` of every export of `index` that has no doc comment. */
export function undocumentedExports(index: string, read: ReadText): string[] {
  const faults: string[] = [];
  for (const [name, place] of exportsOf(index, read, new Set())) {
    if (place.declaration === null || commentOf(place.declaration) !== '') continue;
    faults.push(`${place.path}: ${name}`);
  }
  return faults.sort();
}

/** Where an exported name is declared; no declaration when it comes from another package. */
interface Place {
  readonly path: string;
  readonly declaration: ts.Node | null;
}

function exportsOf(path: string, read: ReadText, above: ReadonlySet<string>): Map<string, Place> {
  const found = new Map<string, Place>();
  const text = read(path);
  if (text === undefined || above.has(path)) return found;
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const local = declarationsOf(source);
  const files = { path, local, read, above: new Set([...above, path]) };
  for (const statement of source.statements) {
    if (!ts.isExportDeclaration(statement)) continue;
    for (const [name, place] of listedExports(statement, files)) found.set(name, place);
  }
  for (const [name, declaration] of local) {
    if (isExported(declaration)) found.set(name, { path, declaration });
  }
  return found;
}

/** A file being read, its own declarations, and the files whose re-exports led to it. */
interface FileContext {
  readonly path: string;
  readonly local: ReadonlyMap<string, ts.Statement>;
  readonly read: ReadText;
  readonly above: ReadonlySet<string>;
}

/** Exports of one `export … from` or `export { … }`. */
function listedExports(statement: ts.ExportDeclaration, context: FileContext): [string, Place][] {
  const { path, local, read, above } = context;
  const from = targetOf(statement, path);
  const inner = from === undefined ? new Map<string, Place>() : exportsOf(from, read, above);
  const clause = statement.exportClause;
  if (clause === undefined) return [...inner];
  if (!ts.isNamedExports(clause)) return [];
  return clause.elements.map((element) => {
    const original = (element.propertyName ?? element.name).text;
    const declaration = statement.moduleSpecifier ? null : (local.get(original) ?? null);
    return [element.name.text, inner.get(original) ?? { path, declaration }];
  });
}

/** File that a relative re-export leads to; undefined for another package or none. */
function targetOf(statement: ts.ExportDeclaration, path: string): string | undefined {
  const specifier = statement.moduleSpecifier;
  if (specifier === undefined || !ts.isStringLiteral(specifier)) return undefined;
  if (!specifier.text.startsWith('.')) return undefined;
  return posix.join(posix.dirname(path), specifier.text).replace(/\.js$/, '.ts');
}

/** Named statements of a file; of several overloads the first, which carries the comment. */
function declarationsOf(source: ts.SourceFile): Map<string, ts.Statement> {
  const found = new Map<string, ts.Statement>();
  for (const statement of source.statements) {
    for (const name of namesOf(statement)) {
      if (!found.has(name)) found.set(name, statement);
    }
  }
  return found;
}

function namesOf(statement: ts.Statement): string[] {
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.map(({ name }) => name.getText());
  }
  const isNamed =
    ts.isFunctionDeclaration(statement) ||
    ts.isClassDeclaration(statement) ||
    ts.isInterfaceDeclaration(statement) ||
    ts.isTypeAliasDeclaration(statement);
  return isNamed && statement.name !== undefined ? [statement.name.text] : [];
}

function isExported(statement: ts.Node): boolean {
  if (!ts.canHaveModifiers(statement)) return false;
  const modifiers = ts.getModifiers(statement) ?? [];
  return modifiers.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);
}
