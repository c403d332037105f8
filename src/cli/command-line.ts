import { Command, InvalidArgumentError } from 'commander';
import { checkConfig, printConfig } from './config.ts';
import { explain } from './explain.ts';
import type { GatewayFlags } from './gateway-flags.ts';
import { version } from './version.ts';

/** Reads the arguments, runs one command, sets the exit code. Commands are loaded when they are asked for. */
export async function runCommandLine(args: readonly string[]): Promise<void> {
  const program = new Command('pulsegate')
    .description('A telemetry gateway: readings in over MQTT; REST to ask, WebSocket to watch, webhooks to be told.')
    .version(version)
    .showHelpAfterError('(add --help for the options)');

  withGatewayFlags(program.command('start'))
    .description('run the gateway until SIGTERM or Ctrl-C')
    .action(async (flags: GatewayFlags) => (await import('./start.ts')).start(flags));

  withGatewayFlags(program.command('demo'))
    .description('run the gateway with a simulated fleet, sample rules and a webhook inbox')
    .option('--devices <n>', 'simulated devices', '16')
    .option('--inbox-port <port>', 'port of the webhook inbox', '8099')
    .action(async (flags: GatewayFlags & { devices: string; inboxPort: string }) =>
      (await import('./demo.ts')).demo(flags),
    );

  program
    .command('simulate')
    .description('run the simulated fleet, or replay a recording, against an MQTT broker (simulate --help)')
    .helpOption(false)
    .allowUnknownOption()
    .allowExcessArguments()
    .argument('[args...]')
    .action(async (simulatorArgs: readonly string[]) => (await import('./simulate.ts')).simulate(simulatorArgs));

  const keys = program.command('keys').description('keys for everything that is not on this machine');
  keys
    .command('create')
    .description('make a key and show it, once; the gateway must not be running')
    .argument('<name>', 'what the key is for')
    .option('--data <dir>', 'data folder')
    .option('--config <file>', 'configuration file')
    .action(async (name: string, flags: GatewayFlags) => (await import('./keys.ts')).createKey(name, flags));

  const config = program.command('config').description('the configuration as the gateway would read it');
  withGatewayFlags(config.command('check')).description('say what is wrong, all at once').action(checkConfig);
  withGatewayFlags(config.command('print')).description('print every option, secrets as ***').action(printConfig);

  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    console.error(explain(error));
    process.exitCode = 1;
  }
}

function withGatewayFlags(command: Command): Command {
  return command
    .option('--config <file>', 'configuration file (YAML), over config/default.yaml')
    .option('--data <dir>', 'data folder')
    .option('--http-host <address>', 'address of REST, WebSocket and the dashboard')
    .option('--http-port <port>', 'port of REST, WebSocket and the dashboard')
    .option('--mqtt-host <address>', 'address of the MQTT broker')
    .option('--mqtt-port <port>', 'port of the MQTT broker')
    .option('--set <path=value>', 'any other option, for example log.level=debug; may be repeated', collectPair, []);
}

function collectPair(text: string, before: readonly [string, string][]): readonly [string, string][] {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('write it as path=value, for example log.level=debug');
  return [...before, [text.slice(0, at), text.slice(at + 1)]];
}
