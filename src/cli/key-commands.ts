import type { Command } from 'commander';
import type { CreateKeyFlags, KeyFlags } from './keys.ts';

const load = () => import('./keys.ts');

/** The commands below `pulsegate keys`. */
export function addKeyCommands(keys: Command): void {
  withKeyFlags(keys.command('create'))
    .description('make a key and show it, once')
    .argument('<name>', 'what the key is for')
    .option('--scope <scope>', 'read, write, admin or mqtt; may be repeated (default: admin)', collect, [])
    .option(
      '--publish <filter>',
      'MQTT filter that a key with the scope mqtt may publish to; may be repeated',
      collect,
      [],
    )
    .option('--subscribe <filter>', 'MQTT filter that it may subscribe to; may be repeated', collect, [])
    .option('--expires <duration>', 'how long it lets in, for example 90d (default: for ever)')
    .action(async (name: string, flags: CreateKeyFlags) => (await load()).createKey(name, flags));
  withKeyFlags(keys.command('list'))
    .description('one key a line: id, scopes, end, name')
    .action(async (flags: KeyFlags) => (await load()).listKeys(flags));
  withKeyFlags(keys.command('delete'))
    .description('take a key back; whoever is connected with it is disconnected')
    .argument('<id>', 'the eight characters after pulse_')
    .option('--force', 'also the last one that can make others')
    .action(async (id: string, flags: KeyFlags & { force?: boolean }) => (await load()).deleteKey(id, flags));
}

function withKeyFlags(command: Command): Command {
  return command
    .option('--data <dir>', 'data folder, while no gateway runs on it')
    .option('--config <file>', 'configuration file')
    .option('--url <url>', 'ask the gateway at this address and leave the files alone')
    .option('--key <key>', 'an API key with the scope admin; PULSEGATE_KEY is better, since others can see arguments');
}

function collect(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}
