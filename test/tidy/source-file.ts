import { posix } from 'node:path';
import { parseSync, Visitor } from 'vite';

/** One import, `export … from`, `import()` or `import('…')` type. */
export interface Import {
  /** As written; null for an `import()` of something computed. */
  readonly specifier: string | null;
  /** Erased before it runs: `import type`, `export type … from`, a type query. */
  readonly isType: boolean;
}

/** What the import law asks of a file. */
export interface SourceFile {
  /** From the root of the repository, with `/`. */
  readonly path: string;
  readonly imports: readonly Import[];
  /** Uses of the clock, of chance and of `fetch`, as `Date.now`. */
  readonly globals: readonly string[];
}

const calls = new Set(['setTimeout', 'setInterval', 'fetch']);
const members = new Set(['Date.now', 'Math.random', 'performance.now']);
const worlds = new Set(['globalThis', 'window', 'self', 'global']);

/** Parses TypeScript, TSX or JavaScript. Throws for a file that cannot be parsed. */
export function readSource(path: string, text: string): SourceFile {
  const { program, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path}: ${errors[0].message}`);
  const imports: Import[] = [];
  const globals: string[] = [];
  new Visitor({
    ImportDeclaration: ({ source, importKind }) => {
      imports.push({ specifier: source.value, isType: importKind === 'type' });
    },
    ExportNamedDeclaration: ({ source, exportKind }) => {
      if (source) imports.push({ specifier: source.value, isType: exportKind === 'type' });
    },
    ExportAllDeclaration: ({ source, exportKind }) => {
      imports.push({ specifier: source.value, isType: exportKind === 'type' });
    },
    ImportExpression: ({ source }) => {
      const literal = source.type === 'Literal' && typeof source.value === 'string' ? source.value : null;
      imports.push({ specifier: literal, isType: false });
    },
    TSImportType: ({ source }) => {
      imports.push({ specifier: source.value, isType: true });
    },
    CallExpression: ({ callee }) => {
      if (callee.type !== 'Identifier') return;
      if (calls.has(callee.name)) globals.push(callee.name);
      // Without `new` it is the present time as text.
      if (callee.name === 'Date') globals.push('Date()');
    },
    NewExpression: ({ callee, arguments: given }) => {
      if (callee.type === 'Identifier' && callee.name === 'Date' && given.length === 0) globals.push('new Date()');
    },
    MemberExpression: ({ object, property }) => {
      if (object.type !== 'Identifier' || property.type !== 'Identifier') return;
      const name = `${object.name}.${property.name}`;
      if (members.has(name)) globals.push(name);
      if (worlds.has(object.name) && calls.has(property.name)) globals.push(property.name);
    },
  }).visit(program);
  return { path, imports, globals };
}

/** The file that a relative import names, from the root of the repository; null for a package. */
export function targetOf(from: string, specifier: string): string | null {
  return specifier.startsWith('.') ? posix.join(posix.dirname(from), specifier) : null;
}

/** `@koa/router/sub` → `@koa/router`; `node:sqlite` stays. */
export function packageOf(specifier: string): string {
  const parts = specifier.split('/');
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0];
}
