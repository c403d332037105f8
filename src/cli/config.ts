import { loadConfig } from '../config/load.ts';
import { redactConfig } from '../config/redact.ts';
import { flagPaths, type GatewayFlags } from './gateway-flags.ts';

/** `pulsegate config check`: silence is not an answer, so it says that all is well. */
export function checkConfig(flags: GatewayFlags): void {
  loadConfig({ file: flags.config, env: process.env, flags: flagPaths(flags) });
  console.log('The configuration is valid.');
}

/** `pulsegate config print`: the complete value as JSON, durations in ms, sizes in bytes, secrets as `***`. */
export function printConfig(flags: GatewayFlags): void {
  console.log(
    JSON.stringify(
      redactConfig(loadConfig({ file: flags.config, env: process.env, flags: flagPaths(flags) })),
      null,
      2,
    ),
  );
}
