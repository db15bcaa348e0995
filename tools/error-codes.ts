/** Finds every error code of the product with the comment that explains it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import ts from 'typescript';
import { listFiles } from './source-files.js';

/** One code. */
export interface ErrorCode {
  readonly code: string;
  /** The doc comment beside it; empty when there is none. */
  readonly meaning: string;
  /** The string that the program raises; equal to `code` when all is well. */
  readonly value: string;
}

/** The codes of one `X_ERRORS` table. */
export interface ErrorTable {
  readonly path: string;
  readonly tableName: string;
  readonly about: string;
  readonly codes: readonly ErrorCode[];
}

/** Reads all tables of the workspace at `root`, in the order of their paths. */
export async function collectErrorTables(root: string): Promise<ErrorTable[]> {
  const paths = (await listFiles(root)).filter((path) =>
    /^(packages|apps)\/[^/]+\/src\/([^/]+\/)?errors\.ts$/.test(path),
  );
  const tables: ErrorTable[] = [];
  for (const path of paths) {
    tables.push(...readErrorTables(path, await readFile(join(root, path), 'utf8')));
  }
  return tables;
}

/** Reads the tables of one file: exported constants whose names end in `_ERRORS`. */
export function readErrorTables(path: string, text: string): ErrorTable[] {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const tables: ErrorTable[] = [];
  for (const statement of source.statements) {
    if (!ts.isVariableStatement(statement)) continue;
    for (const declaration of statement.declarationList.declarations) {
      const tableName = declaration.name.getText();
      const object = objectOf(declaration.initializer);
      if (!tableName.endsWith('_ERRORS') || object === null) continue;
      const codes = object.properties.filter(ts.isPropertyAssignment).map(readCode);
      tables.push({ path, tableName, about: commentOf(statement), codes });
    }
  }
  return tables;
}

/** Joins the lines of the doc comment before a node into one. */
export function commentOf(node: ts.Node): string {
  const comment = ts.getJSDocCommentsAndTags(node).find(ts.isJSDoc)?.comment;
  return (ts.getTextOfJSDocComment(comment) ?? '').replace(/\s+/g, ' ').trim();
}

function readCode(property: ts.PropertyAssignment): ErrorCode {
  const { initializer, name } = property;
  const value = ts.isStringLiteral(initializer) ? initializer.text : initializer.getText();
  return { code: name.getText(), meaning: commentOf(property), value };
}

function objectOf(initializer: ts.Expression | undefined): ts.ObjectLiteralExpression | null {
  const inner =
    initializer && ts.isAsExpression(initializer) ? initializer.expression : initializer;
  return inner && ts.isObjectLiteralExpression(inner) ? inner : null;
}
