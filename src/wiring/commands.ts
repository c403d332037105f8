import { randomId } from '../base/random.ts';
import { CommandBook } from '../commands/command-book.ts';
import type { Dialects } from '../decode/dialects.ts';
import { encodeNativeCommand } from '../decode/native-command.ts';
import type { OutgoingMessage } from '../domain/outgoing-message.ts';
import type { Stream } from './stream.ts';
import type { Surroundings } from './surroundings.ts';

/** Commands, each in the dialect that its device speaks. */
export function buildCommands(
  { config, clock, random, log, stops }: Surroundings,
  parts: {
    readonly stream: Stream;
    readonly dialects: () => Dialects;
    readonly publish: (message: OutgoingMessage) => Promise<boolean>;
  },
): CommandBook {
  const { stream, dialects, publish } = parts;
  const commands = new CommandBook({
    commit: (changed) => stream.commit({ changes: { commands: changed } }),
    async publish(command) {
      const message = dialects().encode(command, clock.now()) ?? encodeNativeCommand(command);
      if (!(await publish(message))) return 'nobody';
      // What the embedded broker sends to a topic, an operator who watches everything gets, too. Who is subscribed at a
      // broker elsewhere nobody tells us: it has taken the message, and that is all.
      return message.device === null && config.mqtt.mode === 'embedded' ? 'somebody' : 'device';
    },
    check: (command) => void dialects().encode(command, clock.now()),
    now: () => stream.receiptClock.now(),
    clock,
    newId: () => randomId('cmd', random),
    log,
  });
  dialects().onHeard((device) => commands.deviceSpoke(device));
  stops.push('commands', () => commands.stop());
  return commands;
}
