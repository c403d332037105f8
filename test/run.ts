// `npm test` (all) and `npm run check` (types, lint, tidy and unit tests, under a minute).
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installSystemPackages } from './support/system-packages.ts';

const root = new URL('..', import.meta.url).pathname;
const bin = (name: string): string => join(root, 'node_modules', '.bin', name);
const all = process.argv[2] === 'all';

interface Step {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

const checks: readonly Step[] = [
  { name: 'types', command: bin('tsc'), args: ['--noEmit'] },
  { name: 'types of the dashboard', command: bin('tsc'), args: ['--noEmit', '-p', 'src/dashboard/tsconfig.json'] },
  { name: 'lint', command: bin('oxlint'), args: ['--type-aware', '--deny-warnings'] },
  { name: 'format', command: bin('biome'), args: ['format', '.'] },
  { name: 'unused code', command: bin('knip'), args: [] },
];

if (all) installSystemPackages();

const failedChecks = checks.filter((step) => !passes(step)).map((step) => step.name);
const report = join(mkdtempSync(join(tmpdir(), 'pulsegate-report-')), 'report.json');
const folders = all ? [] : ['test/unit', 'test/tidy', 'test/scenario'];
const vitest = spawnSync(
  process.execPath,
  [
    join(root, 'node_modules', 'vitest', 'vitest.mjs'),
    'run',
    '-c',
    'test/vitest.config.ts',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...folders,
  ],
  { cwd: root, stdio: 'inherit' },
);
const { passed, failed } = counts(report);
rmSync(report, { force: true });

const broken = failedChecks.length > 0 || vitest.status !== 0;
if (failedChecks.length > 0) console.log(`\nfailed: ${failedChecks.join(', ')}`);
console.log(`\n${passed + checks.length - failedChecks.length} passed, ${failed + failedChecks.length} failed`);
process.exit(broken ? 1 : 0);

function passes({ name, command, args }: Step): boolean {
  const began = performance.now();
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8' });
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const ok = result.status === 0;
  console.log(`${ok ? '✓' : '✗'} ${name} (${seconds} s)`);
  if (!ok) console.log(result.stdout + result.stderr);
  return ok;
}

function counts(file: string): { passed: number; failed: number } {
  if (!existsSync(file)) return { passed: 0, failed: 1 };
  const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'));
  const number = (key: string): number => {
    const value: unknown = typeof parsed === 'object' && parsed !== null ? Reflect.get(parsed, key) : undefined;
    return typeof value === 'number' ? value : 0;
  };
  // A file that failed to load has no tests of its own to count.
  const failed = Math.max(number('numFailedTests'), number('numFailedTestSuites') > 0 ? 1 : 0);
  return { passed: number('numPassedTests'), failed };
}
