import { Command, InvalidArgumentError, Option } from 'commander';
import {
  parseDeviceId,
  parseDuration,
  parseMetric,
  parsePercent,
  parseQos,
  parseReplaySpeed,
  parseUrl,
  parseZoneOffset,
  positiveNumber,
  wholeNumber,
} from './options.ts';
import { readTime, type TimeUnit } from './recorded-time.ts';
import type { Qos } from './tally.ts';

/** Devices up to this many have a connection each unless `--connections` says otherwise. */
const ownConnectionsMax = 1_000;

export interface ConnectionOptions {
  readonly url: string;
  readonly qos: Qos;
  readonly connections: number;
  readonly username?: string;
  readonly password?: string;
  /** Path of a file with the token of each device. */
  readonly tokens?: string;
  /** A provisioning key: devices without a token ask for one. */
  readonly provision?: string;
  readonly inFlight: number;
  readonly json?: boolean;
}

export interface FleetOptions extends ConnectionOptions {
  readonly devices: number;
  readonly rate: number;
  readonly interval?: number;
  readonly seed: number;
  readonly speed: number;
  readonly start?: number;
  readonly duration?: number;
  readonly drama?: boolean;
  readonly past?: number;
  readonly late: number;
  readonly duplicate: number;
}

export interface ReplayOptions extends ConnectionOptions {
  readonly device?: string;
  readonly metric?: string;
  readonly speed: number;
  readonly rate?: number;
  readonly start?: string;
  readonly tzOffset: number;
  readonly timeUnit?: TimeUnit;
  readonly shiftToNow?: boolean;
  readonly text?: boolean;
  readonly batch: number;
  readonly limit: number;
}

function parseStart(text: string): number {
  const time = readTime(text, { zoneOffsetMinutes: 0, unit: undefined });
  if (time === undefined) throw new InvalidArgumentError('Write a time such as 2026-09-16T06:00.');
  return time.ms;
}

const pastMax = 86_400_000;

function parsePast(text: string): number {
  const past = parseDuration(text);
  if (past > pastMax) throw new InvalidArgumentError('Write at most 1d.');
  return past;
}

/** Options for connections that are all alike, which they are not where each device has its token. */
const shared = ['password', 'token', 'username', 'connections'];

/** Adds what both commands share, after their own options. */
function withConnectionOptions(command: Command): Command {
  return command
    .optionsGroup('Connection:')
    .option('-u, --url <address>', 'MQTT listener of the gateway', parseUrl, 'mqtt://127.0.0.1:1883')
    .option('-q, --qos <0|1|2>', 'quality of service of the telemetry', parseQos, 1 as Qos)
    .addOption(new Option('--password <token>', 'token for every connection').env('PULSEGATE_SIMULATOR_PASSWORD'))
    .addOption(new Option('--token <token>', 'the same as --password').conflicts('password'))
    .option('--username <name>', 'user name for every connection (default: the device id)')
    .addOption(
      new Option(
        '--tokens <file>',
        'CSV of device,token: each device has a connection of its own, with its token',
      ).conflicts(shared),
    )
    .addOption(
      new Option(
        '--provision <key>',
        'devices without a token ask for one with this provisioning key; it is kept in --tokens <file> if given',
      )
        .env('PULSEGATE_SIMULATOR_PROVISION')
        .conflicts(shared),
    )
    .addOption(
      new Option('--connections <n>', 'share this many connections')
        .argParser(wholeNumber(1, 20_000))
        .default(ownConnectionsMax, `one for each device, at most ${ownConnectionsMax}`),
    )
    .option('--in-flight <n>', 'unacknowledged messages on a connection at most', wholeNumber(1, 10_000), 64)
    .option('--json', 'progress as JSON lines instead of a status line');
}

const notes = `
Progress goes to stderr; the final tally is one JSON line on stdout.
Exit codes: 0 everything sent was acknowledged, 1 not everything was, 2 bad arguments, an unreadable\nrecording, or no token for a device.`;

/** What the two commands do with their options. */
export interface Actions {
  fleet(options: FleetOptions): Promise<void>;
  replay(file: string, options: ReplayOptions): Promise<void>;
}

/** The command line; parsing throws a CommanderError, its message already printed, for arguments that are wrong. */
export function commandLine(actions: Actions): Command {
  const simulate = new Command('simulate')
    .description(
      'Simulates a fleet of devices and wearables over MQTT: room climate, cold-chain fridges, machines, power meters, weather masts and wristbands. The same seed makes the same fleet.',
    )
    .enablePositionalOptions()
    .exitOverride()
    .option('-n, --devices <n>', 'devices in the fleet, a quarter of them wearables', wholeNumber(1, 100_000), 16)
    .option('-r, --rate <n>', 'messages a second from each device', positiveNumber(1_000), 1)
    .addOption(
      new Option('--interval <duration>', 'time between two messages of a device, instead of --rate')
        .argParser((text) => Math.max(1, parseDuration(text)))
        .conflicts('rate'),
    )
    .option('--duration <duration>', 'stop after this long, such as 30s or 5m (default: on Ctrl-C)', parseDuration)
    .option('--seed <n>', 'which fleet', wholeNumber(0, 4_294_967_295), 1)
    .option(
      '--speed <factor>',
      'simulated hours pass this much faster; ts stays the present',
      positiveNumber(100_000),
      1,
    )
    .option('--start <time>', 'simulated clock at the start, such as 2026-09-16T06:00 (default: now)', parseStart)
    .option('--drama', 'a workout, an open fridge and a machine fault within the first minute, and again')
    .option('--past <duration>', 'also tell what happened before, a sample every ten seconds; at most 1d', parsePast)
    .option('--late <percent>', 'hold this share of messages back for 2 to 20 s', parsePercent, 0)
    .option('--duplicate <percent>', 'send this share of messages twice', parsePercent, 0)
    .addHelpText(
      'after',
      `${notes}

Examples:
  simulate                                      sixteen devices, one message a second each
  simulate --drama --duration 5m                alerts within a minute
  simulate --provision pulseprov_… --tokens tokens.csv   devices that get their tokens themselves, and keep them
  simulate -n 1000 --connections 50             a thousand devices on fifty connections
  simulate --speed 3600 --seed 7                a day of readings in 24 seconds of physics
  simulate replay recording.csv --speed max     a recording, as fast as it is acknowledged`,
    )
    .action(async (options: FleetOptions & Token) => await actions.fleet({ ...options, ...passwordOf(options) }));

  const replay = simulate
    .command('replay')
    .description('Sends a recording: a CSV file of readings with their own times.')
    .argument('<file>', 'the CSV file')
    .option('--device <id>', 'device of rows that name none (default: the name of the file)', parseDeviceId)
    .option('--metric <name>', 'metric of the one column of values (default: its title, or "value")', parseMetric)
    .addOption(
      new Option('--speed <factor|max>', '1 is real time, 60 a minute in a second, max as fast as acknowledged')
        .argParser(parseReplaySpeed)
        .default(Infinity, 'max'),
    )
    .option('--rate <hz>', 'samples a second, for a file of bare samples', positiveNumber(1_000))
    .option('--start <time>', 'time of the first sample of a file without dates (default: the last one is now)')
    .addOption(
      new Option('--tz-offset <±hh:mm>', 'zone of dates that name none').argParser(parseZoneOffset).default(0, 'UTC'),
    )
    .addOption(new Option('--time-unit <unit>', 'unit of times that are bare numbers').choices(['s', 'ms']))
    .option('--shift-to-now', 'move all times so that the last reading is now')
    .option('--text', 'take values that are neither numbers nor true/false as text')
    .option('--batch <n>', 'readings in a message, sent as an array', wholeNumber(1, 5_000), 1)
    .addOption(
      new Option('--limit <n>', 'send only the first rows')
        .argParser(wholeNumber(1, Number.MAX_SAFE_INTEGER))
        .default(Infinity, 'all'),
    )
    .addHelpText(
      'after',
      `
Formats, told apart by the first line (comma, semicolon or tab):
  device,metric,time,value      one reading a line; device may be left out
  time,metric1,metric2,…        one instant a line; the time column is called timestamp, time, ts or date
  71.2                          one bare sample a line, with --rate

Times are RFC 3339, "2013-07-04 00:00:00" (UTC unless --tz-offset), epoch seconds or milliseconds.
The whole file is read before the first message is sent. Empty values are left out.
${notes}

Examples:
  simulate replay office.csv --device office-1 --metric temperature
  simulate replay ecg.csv --rate 250 --device holter-1 --metric ecg --batch 50
  simulate replay fridge.csv --shift-to-now --speed 60`,
    )
    .action(
      async (file: string, options: ReplayOptions & Token) =>
        await actions.replay(file, { ...options, ...passwordOf(options) }),
    );
  withConnectionOptions(simulate);
  withConnectionOptions(replay);
  return simulate;
}

interface Token {
  readonly token?: string;
}

function passwordOf(options: ConnectionOptions & Token): { password?: string } {
  const password = options.password ?? options.token;
  return password === undefined ? {} : { password };
}
