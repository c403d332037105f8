import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { loadConfig } from '../config/load.ts';
import { findDashboard } from '../dashboard/build.ts';
import { createGateway, type Gateway } from '../gateway.ts';
import { flagPaths, type GatewayFlags } from './gateway-flags.ts';
import { createLog } from './logger.ts';
import { version } from './version.ts';

/** `pulsegate start`: runs until a signal; drains and leaves with 0. */
export async function start(flags: GatewayFlags): Promise<void> {
  const config = loadConfig({ file: flags.config, env: process.env, flags: flagPaths(flags) });
  const gateway = createGateway(config, { log: createLog(config.log.level), version, fatal: leave, dashboard });
  stopOnSignal(gateway);
  await gateway.start();
  console.log(`Pulsegate ${version} is ready: dashboard ${gateway.httpUrl}  MQTT ${gateway.mqttUrl}`);
}

/**
 * The folder of the dashboard, built on the first start from a clone. By a process of its own: the bundler weighs as much
 * as a gateway, which would carry it for as long as it runs. Rejects with what the bundler said.
 */
export async function dashboard(): Promise<string> {
  const { dir, isCurrent } = await findDashboard();
  if (isCurrent) return dir;
  const build = new URL('../dashboard/build.ts', import.meta.url).href;
  const script = `await (await import(${JSON.stringify(build)})).buildDashboard();`;
  await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
  return dir;
}

/** SIGTERM and SIGINT stop the gateway, once; `before` runs first. */
export function stopOnSignal(gateway: Gateway, before: () => Promise<void> = () => Promise.resolve()): void {
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    before()
      .then(() => gateway.stop())
      .then(
        () => process.exit(0),
        (error: unknown) => leave(error),
      );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

/** What was going to happen next could not be trusted; a supervisor starts us again. */
export function leave(error: unknown): never {
  console.error(error);
  process.exit(70);
}
