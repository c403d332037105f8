import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { findBrowser } from './browser.ts';

/** Programs of the system that tests run, with the Debian package that has them. */
const programs: readonly { readonly debian: string; readonly isThere: () => boolean }[] = [
  { debian: 'chromium', isThere: () => findBrowser() !== undefined },
  { debian: 'curl', isThere: () => answers('curl', '--version') },
  { debian: 'mosquitto', isThere: () => findMosquitto() !== undefined },
  { debian: 'nginx', isThere: () => findNginx() !== undefined },
  { debian: 'openssl', isThere: () => answers('openssl', 'version') },
  { debian: 'mosquitto-clients', isThere: () => answers('mosquitto_pub', '--help') },
];

/** Installs what is missing through apt-get where that can be done, and says what to install where it cannot. */
export function installSystemPackages(): void {
  const missing = programs.filter((program) => !program.isThere()).map((program) => program.debian);
  if (missing.length === 0) return;
  if (!answers('apt-get', '--version') || process.getuid?.() !== 0) {
    console.log(`The tests need ${missing.join(', ')} (names of Debian's packages); please install them.`);
    return;
  }
  console.log(`Installing ${missing.join(', ')} for the tests (apt-get) …`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  spawnSync('apt-get', ['update', '-qq'], { stdio: ['ignore', 'ignore', 'inherit'], env });
  spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...missing], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env,
  });
}

/** Debian puts servers where only root's PATH looks. */
export function findMosquitto(): string | undefined {
  return ['/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto', '/opt/homebrew/sbin/mosquitto'].find((path) =>
    existsSync(path),
  );
}

export function findNginx(): string | undefined {
  return ['/usr/sbin/nginx', '/usr/local/sbin/nginx', '/opt/homebrew/bin/nginx'].find((path) => existsSync(path));
}

function answers(program: string, argument: string): boolean {
  return spawnSync(program, [argument], { stdio: 'ignore' }).error === undefined;
}
