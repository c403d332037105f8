/** The import law: who may import whom, and which package belongs where. `src/README.md` shows the same table. */
export interface Room {
  readonly name: string;
  /** Rooms it may import; `*` is any room but those in `but`. */
  readonly may: readonly string[];
  readonly but?: readonly string[];
  /** Rooms of which it may import types. */
  readonly typesOf: readonly string[];
  readonly packages: readonly string[];
}

const words = ['base', 'domain', 'contract'] as const;

const stage = (name: string, packages: readonly string[] = []): Room => ({ name, may: words, typesOf: [], packages });

export const rooms: readonly Room[] = [
  { name: 'base', may: [], typesOf: [], packages: [] },
  { name: 'domain', may: ['base'], typesOf: [], packages: [] },
  { name: 'contract', may: ['base', 'domain'], typesOf: [], packages: ['zod'] },
  { name: 'config', may: [...words], typesOf: [], packages: ['zod', 'yaml'] },
  stage('ingest', ['aedes', 'mqtt', 'ws']),
  stage('decode', ['cborg', '@bufbuild/protobuf']),
  { name: 'pipeline', may: [...words, 'decode'], typesOf: [], packages: [] },
  stage('alerts'),
  stage('history'),
  stage('latest'),
  stage('access', ['rate-limiter-flexible']),
  stage('commands'),
  stage('catalog', ['lowdb', 'zod']),
  stage('live', ['ws']),
  stage('webhooks', ['undici']),
  { name: 'storage', may: [...words, 'history'], typesOf: [], packages: ['node:sqlite'] },
  {
    name: 'api',
    may: words,
    typesOf: ['*'],
    packages: ['koa', '@koa/router', 'zod', 'zod-openapi', 'prom-client'],
  },
  { name: 'dashboard', may: [], typesOf: ['contract'], packages: ['preact', '@preact/signals', 'uplot', 'vite'] },
  { name: 'wiring', may: ['*'], but: ['cli', 'gateway.ts'], typesOf: [], packages: [] },
  { name: 'gateway.ts', may: ['*'], but: ['cli'], typesOf: [], packages: [] },
  { name: 'cli', may: ['*'], typesOf: [], packages: ['commander', 'pino', 'zod'] },
];

/** Beside the table: the file that says which Node it needs, and the program that only speaks MQTT. */
export const outsiders: readonly Room[] = [
  { name: 'main.js', may: ['cli'], typesOf: [], packages: [] },
  { name: 'simulator', may: [], typesOf: [], packages: ['mqtt', 'commander'] },
];

/** Packages that a room owns in one file only. */
export const oneFile: Readonly<Record<string, string>> = { 'node:sqlite': 'src/storage/sqlite/database.ts' };

/** Where time and chance come from; everywhere else in src they are handed in. */
export const clockAndDice: readonly string[] = ['src/base/', 'src/dashboard/clock.ts'];

/** A browser page has no other way to ask. */
export const fetches: readonly string[] = ['src/dashboard/'];

/** A breach that is meant. The check fails for one that is no longer needed. */
export interface Exception {
  readonly file: RegExp;
  readonly breach: RegExp;
  readonly why: string;
}

export const exceptions: readonly Exception[] = [
  {
    file: /^src\/cli\/demo\.ts$/,
    breach: /package yaml/,
    why: 'the sample rules of the demo are YAML for people to read',
  },
  {
    file: /^src\/cli\/demo\.ts$/,
    breach: /performance\.now|setTimeout/,
    why: 'the demo is a process of its own that says how long it took',
  },
];
