import { randomId } from '../base/random.ts';
import { CommandBook } from '../commands/command-book.ts';
import type { Dialects } from '../decode/dialects.ts';
import { encodeNativeCommand } from '../decode/native-command.ts';
import type { OutgoingMessage } from '../domain/outgoing-message.ts';
import type { Stream } from './stream.ts';
import type { Surroundings } from './surroundings.ts';

/** Commands, each in the dialect that its device speaks. */
export function buildCommands(
  { clock, random, log, stops }: Surroundings,
  parts: {
    readonly stream: Stream;
    readonly dialects: () => Dialects;
    readonly publish: (message: OutgoingMessage) => Promise<boolean>;
  },
): CommandBook {
  const { stream, dialects, publish } = parts;
  const commands = new CommandBook({
    commit: (changed) => stream.commit({ changes: { commands: changed } }),
    publish: (command) => publish(dialects().encode(command, clock.now()) ?? encodeNativeCommand(command)),
    check: (command) => void dialects().encode(command, clock.now()),
    now: () => stream.receiptClock.now(),
    clock,
    newId: () => randomId('cmd', random),
    log,
  });
  dialects().onHeard((device) => commands.deviceListens(device));
  stops.push('commands', () => commands.stop());
  return commands;
}
