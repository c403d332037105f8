import { Command, InvalidArgumentError } from 'commander';
import { checkConfig, printConfig } from './config.ts';
import type { BackupFlags } from './backup.ts';
import type { CreateFlags, ListFlags } from './devices.ts';
import type { DoctorFlags } from './doctor.ts';
import { explain } from './explain.ts';
import type { ExportFlags } from './transfer/export.ts';
import type { ClientFlags } from './gateway-client.ts';
import type { GatewayFlags } from './gateway-flags.ts';
import type { ImportFlags } from './transfer/import.ts';
import { addKeyCommands } from './key-commands.ts';
import type { ShowFlags } from './retention.ts';
import type { StorageFlags } from './storage.ts';
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

  addKeyCommands(program.command('keys').description('keys for everything that is not on this machine'));

  addDeviceCommands(program.command('devices').description('devices of a running gateway, over REST'));

  addRetentionCommands(program.command('retention').description('how long series are kept, over REST'));

  withClientFlags(program.command('storage'))
    .description('what the store holds, how it grows, until when there is room')
    .option('--json', 'as GET /api/v1/storage answers it')
    .action(async (flags: StorageFlags) => (await import('./storage.ts')).showStorage(flags));

  addFileCommands(program);

  addSafekeepingCommands(program);

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

function addRetentionCommands(retention: Command): void {
  withClientFlags(retention.command('show'))
    .description('the rules in order, and the default')
    .option('--json', 'as "retention set" takes it')
    .action(async (flags: ShowFlags) => (await import('./retention.ts')).showRetention(flags));
  withClientFlags(retention.command('set'))
    .description('replace the rules; what is too old by then is deleted for good')
    .argument('<file>', '{"rules":[{"name":"vibration","metric":"vibration*","raw":"30d"}]}; - for standard input')
    .action(async (file: string, flags: ClientFlags) => (await import('./retention.ts')).setRetention(file, flags));
}

function addFileCommands(program: Command): void {
  withClientFlags(program.command('export'))
    .description(
      'readings of a running gateway into a file, or to standard output; exit code 3 when some are missing, damaged',
    )
    .option('--device <glob>', 'only these devices')
    .option('--metric <glob>', 'only these metrics')
    .option('--tag <key:value>', 'only devices with this tag')
    .option('--from <time>', 'begin, inclusive: RFC 3339, epoch ms or -30d; left out, from the first reading on')
    .option('--to <time>', 'end, exclusive; left out, up to the last reading')
    .option('--format <format>', 'csv, ndjson, influx or senml; left out, by the name of the file, else csv')
    .option('-o, --output <file>', 'left out, standard output')
    .option('--resume', 'go on with a file that was cut, behind its last whole row')
    .action(async (flags: ExportFlags) => (await import('./transfer/export.ts')).exportReadings(flags));
  withClientFlags(program.command('import'))
    .description('readings of a file into a running gateway; the same file twice changes nothing')
    .argument(
      '<file>',
      'CSV with the header device,metric,time,value, NDJSON, or line protocol; .gz too; - is standard input',
    )
    .option('--format <format>', 'csv, ndjson or influx; left out, by the name of the file or what it begins with')
    .option('--precision <unit>', 'of the times of line protocol: ns, us, ms or s', 'ns')
    .option('--refused <file>', 'where refused lines go, with their reasons; left out, beside the file')
    .action(async (file: string, flags: ImportFlags) =>
      (await import('./transfer/import.ts')).importReadings(file, flags),
    );
}

function addSafekeepingCommands(program: Command): void {
  program
    .command('backup')
    .description('everything in one file, checked: from the running gateway, or from the files while none runs')
    .argument('[file]', 'file or folder; left out, a name with the time in the current folder')
    .option('--config <file>', 'configuration file')
    .option('--data <dir>', 'data folder')
    .option('--url <url>', 'ask the gateway at this address')
    .option('--key <key>', 'an API key with the scope admin; PULSEGATE_KEY is better, since others can see arguments')
    .action(async (file: string | undefined, flags: BackupFlags) => (await import('./backup.ts')).backup(file, flags));
  program
    .command('restore')
    .description('make a data folder of a backup; the folder must be empty or not there')
    .argument('<file>')
    .option('--config <file>', 'configuration file')
    .option('--data <dir>', 'data folder')
    .action(async (file: string, flags: GatewayFlags) => (await import('./restore.ts')).restore(file, flags));
  program
    .command('doctor')
    .description('say what of the store is damaged; exit code 0 when nothing is')
    .option('--config <file>', 'configuration file')
    .option('--data <dir>', 'data folder')
    .option('--repair', 'set aside what is damaged, so that the gateway goes on with the rest; while none runs')
    .option('--json', 'for programs')
    .action(async (flags: DoctorFlags) => (await import('./doctor.ts')).doctor(flags));
}

function addDeviceCommands(devices: Command): void {
  withClientFlags(devices.command('create'))
    .description('register a device and show its token, once')
    .argument('<id>')
    .option('--name <name>', 'for people')
    .option('--profile <id>', 'what it has in common with others of its make')
    .option('--tag <key:value>', 'may be repeated', collectText, [])
    .option('--time-zone <name>', 'for example Europe/Berlin')
    .option('--no-token', 'register only')
    .action(async (id: string, flags: CreateFlags) => (await loadDevices()).createDevice(id, flags));
  withClientFlags(devices.command('list'))
    .description('one device a line: id, state, approval, profile, last heard of, name')
    .option('--device <glob>', 'filter on the id', '*')
    .option('--approval <approval>', 'approved, pending or blocked')
    .option('--state <state>', 'online, offline or unknown')
    .option('--profile <id>', 'of this profile')
    .option('--tag <key:value>', 'with this tag')
    .action(async (flags: ListFlags) => (await loadDevices()).listDevices(flags));
  withClientFlags(devices.command('approve'))
    .description('let devices in; a glob stands for those that wait')
    .argument('<ids...>')
    .action(async (ids: readonly string[], flags: ClientFlags) => (await loadDevices()).approveDevices(ids, flags));
  withClientFlags(devices.command('block'))
    .description('turn a device away')
    .argument('<id>')
    .action(async (id: string, flags: ClientFlags) => (await loadDevices()).blockDevice(id, flags));
  withClientFlags(devices.command('rotate'))
    .description('give a device a new token and show it, once')
    .argument('<id>')
    .option('--overlap <duration>', 'how long older tokens still work, for example 1h; left out, they end at once')
    .action(async (id: string, flags: ClientFlags & { overlap?: string }) =>
      (await loadDevices()).rotateToken(id, flags),
    );
  withClientFlags(devices.command('delete'))
    .description('forget a device; its readings stay')
    .argument('<id>')
    .option('--readings', 'delete its readings, too, for good')
    .action(async (id: string, flags: ClientFlags & { readings?: boolean }) =>
      (await loadDevices()).deleteDevice(id, flags),
    );
  withClientFlags(devices.command('import'))
    .description('register the devices of a CSV file (id,name,profile,timeZone,approval,tags,tag:NAME)')
    .argument('<file>')
    .option('--no-token', 'register only; otherwise "id,token" of each goes to standard output')
    .action(async (file: string, flags: ClientFlags & { token: boolean }) =>
      (await loadDevices()).importDevices(file, flags),
    );
}

function loadDevices(): Promise<typeof import('./devices.ts')> {
  return import('./devices.ts');
}

function withClientFlags(command: Command): Command {
  return command
    .option('--url <url>', 'where the gateway is', 'http://127.0.0.1:8080')
    .option('--key <key>', 'an API key; PULSEGATE_KEY is better, since others can see arguments');
}

function collectText(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
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
