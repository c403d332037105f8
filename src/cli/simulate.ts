import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const simulator = fileURLToPath(new URL('../../simulator/main.ts', import.meta.url));

/** `pulsegate simulate …`: the simulator is a program of its own that only speaks MQTT. */
export function simulate(args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [simulator, ...args], { stdio: 'inherit' });
    // A terminal sends Ctrl-C to the child too; it ends with its tally and we end with it.
    process.on('SIGINT', () => {});
    process.on('SIGTERM', () => child.kill('SIGTERM'));
    child.on('error', reject);
    child.on('exit', (code) => {
      process.exitCode = code ?? 1;
      resolve();
    });
  });
}
