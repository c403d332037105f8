import { readFile } from 'node:fs/promises';
import { messageOf } from '../base/errors.ts';
import { fileFault } from '../base/file-fault.ts';
import { Retention, type RetentionRule } from '../contract/retention.ts';
import { ImportFileError } from './device-table.ts';
import { type ClientFlags, GatewayClient } from './gateway-client.ts';

/* `pulsegate retention …`: how long series are kept, over REST. */

export interface ShowFlags extends ClientFlags {
  readonly json?: boolean;
}

/** One rule a line, in order; with `--json` what `retention set` takes. */
export async function showRetention(flags: ShowFlags): Promise<void> {
  const retention = Retention.parse(await new GatewayClient(flags, process.env).ask('GET', '/retention'));
  if (flags.json) {
    console.log(JSON.stringify({ rules: retention.rules }, null, 2));
    return;
  }
  for (const line of table([
    ...retention.rules,
    { name: '(default)', device: '*', metric: '*', tag: null, ...retention.default },
  ])) {
    console.log(line);
  }
}

/** Replaces the rules by those of a JSON file, `{"rules":[…]}` or the list alone; `-` is standard input. */
export async function setRetention(file: string, flags: ClientFlags): Promise<void> {
  const given = parsed(await textOf(file), file);
  const body = Array.isArray(given) ? { rules: given } : given;
  const { rules } = Retention.parse(await new GatewayClient(flags, process.env).ask('PUT', '/retention', body));
  console.error(`${rules.length} ${rules.length === 1 ? 'rule holds' : 'rules hold'} from now on.`);
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file === '-' ? '/dev/stdin' : file, 'utf8');
  } catch (error) {
    throw new ImportFileError(`${file} cannot be read: ${fileFault(error)}.`);
  }
}

function parsed(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ImportFileError(`${file} is not JSON: ${messageOf(error)}.`);
  }
}

function table(rules: readonly RetentionRule[]): readonly string[] {
  const rows = rules.map(({ name, device, metric, tag, raw, minute, hour }) => [
    name,
    device,
    metric,
    tag ?? '-',
    raw,
    minute,
    hour,
  ]);
  const all = [['RULE', 'DEVICE', 'METRIC', 'TAG', 'RAW', 'MINUTE', 'HOUR'], ...rows];
  const widths = all[0].map((_, column) => Math.max(...all.map((row) => row[column].length)));
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]))
      .join('  ')
      .trimEnd(),
  );
}
