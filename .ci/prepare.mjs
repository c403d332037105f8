// Runs a script of this project on a fresh machine: installs the packages if they are missing or older than the lock
// file, finds a Node that is new enough (the pinned one if the machine's is not), and hands over.
// Plain JavaScript for any Node from 18 on, because it runs before anything is installed.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const installed = join(root, 'node_modules', '.package-lock.json');
const lock = join(root, 'package-lock.json');
const [script, ...args] = process.argv.slice(2);

if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(lock).mtimeMs) install();
run(newEnough(process.versions.node) ? process.execPath : pinnedNode());

function install() {
  console.error('Installing packages …');
  // `npm install` takes the locked versions as `npm ci` does, but does not fail where a registry lacks the binaries of
  // some other platform, which are optional.
  const result = spawnSync('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (result.status === 0) return;
  console.error(
    'npm install failed; its message is above. Pulsegate needs the npm registry once, to install its packages.',
  );
  process.exit(1);
}

function pinnedNode() {
  const pinned = join(root, 'node_modules', '.bin', 'node');
  if (existsSync(pinned)) return pinned;
  console.error(
    `Pulsegate needs Node 24.15 or newer and this is ${process.version}; install it from https://nodejs.org or your package manager.`,
  );
  return process.exit(1);
}

function newEnough(version) {
  const [major, minor] = version.split('.').map(Number);
  return major > 24 || (major === 24 && minor >= 15);
}

function run(node) {
  const env = { ...process.env, PATH: `${join(root, 'node_modules', '.bin')}:${process.env.PATH}` };
  const child = spawn(node, [join(root, script), ...args], { stdio: 'inherit', env });
  // A terminal sends Ctrl-C to the child as well; all that is left to do here is to wait for it.
  process.on('SIGINT', () => {});
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
}
